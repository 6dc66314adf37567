"""Every reader on files of the real format, and what it says when they are missing or damaged."""

import math
import pickle
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import loadmat
from tiny_files import (
    md5,
    write_bsds300,
    write_celeba,
    write_cifar10,
    write_gas,
    write_hepmass,
    write_imagenet_box,
    write_imagenet_old,
    write_miniboone,
    write_mnist,
    write_picture,
    write_pictures,
    write_power,
    write_static_mnist,
    write_svhn,
)
from torchvision import datasets

from genmodels.data.examples import Examples
from genmodels.data.source import Options
from genmodels.data.sources import source_for, tabular
from genmodels.data.sources.celeba import FaceCrop
from genmodels.data.sources.image_folder import CentreCrop
from genmodels.data.sources.mnist import FashionMNIST, StaticallyBinarizedMNIST
from genmodels.data.sources.toy2d import DENSITIES
from genmodels.distributions.modes import MIXTURES
from genmodels.errors import UserError

pytestmark = pytest.mark.usefixtures("empty_caches")  # of pictures that were looked at


def read(root: Path, name: str, part: str = "train", **options) -> Examples:
    return source_for(Options(name, root, **options)).read(part)


def everything(examples: Examples) -> torch.Tensor:
    return examples[torch.arange(len(examples))][0]


def labels(examples: Examples) -> list[int]:
    return examples[torch.arange(len(examples))][1].tolist()


def test_mnist_reads_idx_files(tmp_path, monkeypatch):
    write_mnist(tmp_path, monkeypatch)
    train, test = read(tmp_path, "mnist"), read(tmp_path, "mnist", "test")
    raw = (tmp_path / "MNIST/raw/train-images-idx3-ubyte").read_bytes()[16:]
    assert everything(train).numpy().tobytes() == raw
    assert labels(test) == [number % 10 for number in range(12)]


def test_mnist_of_32_pixels_has_a_border_of_zeros(tmp_path, monkeypatch):
    write_mnist(tmp_path, monkeypatch)
    small, large = everything(read(tmp_path, "mnist")), everything(read(tmp_path, "mnist", size=32))
    assert torch.equal(large[:, :, 2:-2, 2:-2], small)
    assert large.sum() == small.sum()
    with pytest.raises(UserError, match=r"data.size=20 is impossible for mnist: use 28, or 32"):
        read(tmp_path, "mnist", size=20)


def test_fashion_mnist_reads_its_own_folder(tmp_path, monkeypatch):
    write_mnist(tmp_path, monkeypatch, FashionMNIST)
    assert len(read(tmp_path, "fashion_mnist")) == 30
    with pytest.raises(UserError, match="MNIST not found"):
        read(tmp_path, "mnist")


def test_static_mnist_reads_text(tmp_path, monkeypatch):
    write_static_mnist(tmp_path, monkeypatch)
    for part, file in (("train", "train"), ("validation", "valid"), ("test", "test")):
        expected = np.loadtxt(tmp_path / "BinarizedMNIST" / f"binarized_mnist_{file}.amat")
        images = everything(read(tmp_path, "binarized_mnist_static", part))
        assert images.dtype == torch.uint8
        assert np.array_equal(images.numpy().reshape(len(images), 784), expected)


def test_cifar10_reads_its_pickles_in_order(tmp_path, monkeypatch):
    write_cifar10(tmp_path, monkeypatch)
    train = read(tmp_path, "cifar10")
    third = pickle.loads((tmp_path / "cifar-10-batches-py/data_batch_3").read_bytes())
    assert np.array_equal(everything(train)[20:30].numpy().reshape(10, 3072), third[b"data"])
    assert labels(train) == list(range(10)) * 5


def test_svhn_calls_the_digit_zero_class_zero(tmp_path, monkeypatch):
    write_svhn(tmp_path, monkeypatch)
    train = read(tmp_path, "svhn")
    stored = loadmat(tmp_path / "train_32x32.mat")
    assert set(stored["y"].ravel()) == set(range(1, 11))
    assert set(labels(train)) == set(range(10))
    assert [label or 10 for label in labels(train)] == stored["y"].ravel().tolist()
    assert np.array_equal(everything(train)[4].numpy(), stored["X"][:, :, :, 4].transpose(2, 0, 1))


def test_celeba_uses_the_official_parts(tmp_path):
    write_celeba(tmp_path)
    for number, part in enumerate(("train", "validation", "test")):
        examples = read(tmp_path, "celeba", part)
        assert examples.x.names.tolist() == [f"{number * 4 + index:06d}.jpg" for index in range(4)]
    assert everything(examples).shape == (4, 3, 64, 64)


def test_the_face_crop_interpolates_as_the_realnvp_code():
    """image[40:188, 15:163], then TensorFlow 1's resize_images(method=BILINEAR, align_corners=False)."""
    pixels = np.random.default_rng(0).integers(0, 256, (218, 178, 3), dtype=np.uint8)
    crop = pixels[40:188, 15:163].astype(float)
    position = np.arange(64) * 148 / 64
    low = position.astype(int)
    weight = position - low
    rows = crop[low] * (1 - weight)[:, None, None] + crop[low + 1] * weight[:, None, None]
    expected = rows[:, low] * (1 - weight)[:, None] + rows[:, low + 1] * weight[:, None]
    result = FaceCrop(64)(Image.fromarray(pixels))
    assert np.abs(result - expected).max() <= 1  # of 255: rounding


def test_imagenet_old_reads_folders_without_labels(tmp_path):
    write_imagenet_old(tmp_path, 32)
    train, test = (read(tmp_path, "imagenet32_old", part, variant="old") for part in ("train", "test"))
    assert (len(train), len(test)) == (9, 4)
    assert train.y is None
    picture = np.array(Image.open(tmp_path / "imagenet32_old/train_32x32/0000005.png"))
    assert np.array_equal(everything(train)[5].permute(1, 2, 0).numpy(), picture)


@pytest.mark.parametrize("pickled", [False, True])
def test_imagenet_box_reads_batches_and_packs_them_once(tmp_path, pickled: bool):
    write_imagenet_box(tmp_path, 32, pickled)
    options = {"variant": "box"}
    train = read(tmp_path, "imagenet32_box", **options)
    folder = tmp_path / "imagenet32_box"
    name = "train_data_batch_7" if pickled else "train_data_batch_7.npz"
    seventh = np.load(folder / name, allow_pickle=True)["data"]
    assert np.array_equal(everything(train)[18:21].numpy().reshape(3, 3072), seventh)
    assert labels(train) == [0, 499, 999] * 10
    for file in folder.glob("train_data_batch_*"):
        file.unlink()
    assert torch.equal(everything(read(tmp_path, "imagenet32_box", **options)), everything(train))


def test_imagenet_box_runs_no_code_from_a_pickle(tmp_path):
    write_imagenet_box(tmp_path, 32, pickled=True)
    harmful = tmp_path / "imagenet32_box" / "train_data_batch_4"
    harmful.write_bytes(pickle.dumps(print))
    with pytest.raises(UserError, match=r"train_data_batch_4 \(it asks for builtins.print\)"):
        read(tmp_path, "imagenet32_box", variant="box")
    assert not list((tmp_path / "imagenet32_box").glob("*.bytes*"))  # nothing half-written is left


def test_pictures_are_scaled_cropped_and_split(tmp_path):
    write_pictures(tmp_path)
    train, test = (read(tmp_path, "image_folder", part, num_classes=2) for part in ("train", "test"))
    assert (len(train), len(test)) == (18, 2)
    assert sorted([*train.rows.tolist(), *test.rows.tolist()]) == list(range(20))
    assert labels(train).count(0) + labels(test).count(0) == 10
    assert everything(train).shape == (18, 3, 64, 64)
    assert everything(read(tmp_path, "image_folder", size=16, channels=1)).shape == (18, 1, 16, 16)


def test_the_centre_crop_keeps_the_middle():
    pixels = np.zeros((40, 100, 3), dtype=np.uint8)
    pixels[:, 30:70] = 200  # the middle square
    assert (
        CentreCrop((20, 20), 3)(Image.fromarray(pixels)).min() > 180
    )  # the black beside it darkens the border a little
    assert CentreCrop((20, 20), 1)(Image.fromarray(pixels)).shape == (20, 20)


@pytest.mark.parametrize("name", DENSITIES)
def test_toy_points_are_a_function_of_the_split_seed(name: str):
    root = Path("nowhere")
    train, again, other = (everything(read(root, name, split_seed=seed)) for seed in (0, 0, 1))
    test = everything(read(root, name, "test"))
    assert train.dtype == torch.float32
    assert (len(train), len(test)) == (60_000, 10_000)
    assert torch.equal(train, again)
    assert not torch.equal(train, other)
    assert not torch.equal(train[:10_000], test)
    assert train.abs().quantile(0.999) < 5.5
    # The order carries nothing: the first and the last thousand are as far from the centre.
    near, far = train[:5000].norm(dim=1).mean(), train[-5000:].norm(dim=1).mean()
    assert abs(near - far) < 0.1


def test_the_checkerboard_covers_its_dark_fields_alone():
    points = everything(read(Path("nowhere"), "checkerboard"))
    column, row = torch.div(points, 2, rounding_mode="floor").T
    assert ((column + row) % 2 == 0).float().mean() > 0.999  # float32 may round onto a line
    assert points.abs().max() <= 4


@pytest.mark.parametrize("name", MIXTURES)
def test_mixtures_have_the_modes_that_they_name(name: str):
    source = source_for(Options(name, Path("nowhere")))
    assert source.modes is MIXTURES[name]
    points, centres = everything(source.read("train")).double(), source.modes.centres
    nearest = torch.cdist(points, centres).argmin(dim=1)
    off, counts = points - centres[nearest], nearest.bincount()
    share = 1 / len(centres)
    assert (counts / 60_000 - share).abs().max() < 5 * math.sqrt(share * (1 - share) / 60_000)
    assert off.mean(dim=0).abs().max() < 5 * source.modes.deviation / math.sqrt(60_000)
    assert torch.allclose(off.std(dim=0), torch.tensor(source.modes.deviation).double(), rtol=0.02)
    assert off.norm(dim=1).max() < 6 * source.modes.deviation < torch.pdist(centres).min() / 2


def test_ring_and_grid_are_those_of_the_papers():
    ring, grid = MIXTURES["ring"], MIXTURES["grid"]
    assert (len(ring.centres), ring.deviation, len(grid.centres), grid.deviation) == (8, 0.02, 25, 0.05)
    assert torch.allclose(ring.centres.norm(dim=1), torch.tensor(2.0).double())
    assert torch.allclose(torch.pdist(ring.centres).min(), torch.tensor(4 * math.sin(math.pi / 8)).double())
    assert grid.centres.unique().tolist() == [-4, -2, 0, 2, 4]
    assert len(grid.centres.unique(dim=0)) == 25


def test_other_densities_name_no_modes():
    assert source_for(Options("eight_gaussians", Path("nowhere"))).modes is None
    assert source_for(Options("digits", Path("nowhere"))).modes is None


def test_power_is_preprocessed_as_the_authors_do(tmp_path):
    data = write_power(tmp_path)
    parts = [everything(read(tmp_path, "power", part)) for part in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [162, 18, 20]
    known = torch.cat(parts[:2])
    assert known.mean(0).abs().max() < 1e-5
    assert (known.std(0, correction=0) - 1).abs().max() < 1e-5
    # The authors' order of random draws: shuffle, voltage, active power, meters.
    rng = np.random.RandomState(42)
    rng.shuffle(data)
    voltage, active, meters = rng.rand(200), rng.rand(200), rng.rand(200, 3)
    columns = [data[:, 0] + 0.001 * active, data[:, 2] + 0.01 * voltage, *(data[:, 4:7] + meters).T, data[:, 7]]
    expected = np.stack(columns, axis=1)
    expected = (expected - expected[:180].mean(0)) / expected[:180].std(0)
    assert np.allclose(torch.cat(parts).numpy(), expected, atol=1e-5)


def test_gas_drops_columns_that_repeat_another(tmp_path):
    write_gas(tmp_path)
    parts = [everything(read(tmp_path, "gas", part)) for part in ("train", "validation", "test")]
    assert [list(part.shape) for part in parts] == [[243, 8], [27, 8], [30, 8]]
    correlation = torch.corrcoef(torch.cat(parts).T) - torch.eye(8)
    assert correlation.max() < 0.9
    assert torch.cat(parts).mean(0).abs().max() < 1e-5  # over all parts


def test_hepmass_keeps_the_signal_and_the_continuous_columns(tmp_path):
    write_hepmass(tmp_path)
    parts = [everything(read(tmp_path, "hepmass", part)) for part in ("train", "validation", "test")]
    assert [list(part.shape) for part in parts] == [[180, 21], [20, 21], [50, 21]]
    rows = np.loadtxt(tmp_path / "hepmass/1000_train.csv", delimiter=",", skiprows=1)
    signal = rows[rows[:, 0] == 1][:, 1:22]
    expected = (signal - signal.mean(0)) / signal.std(0, ddof=1)
    assert np.allclose(torch.cat(parts[:2]).numpy(), expected, atol=1e-5)


def test_miniboone_and_bsds300(tmp_path):
    write_miniboone(tmp_path)
    write_bsds300(tmp_path)
    assert [len(read(tmp_path, "miniboone", part)) for part in ("train", "validation", "test")] == [81, 9, 10]
    assert [len(read(tmp_path, "bsds300", part)) for part in ("train", "validation", "test")] == [50, 10, 20]


def test_the_maf_archive_is_unpacked_for_the_set_that_is_asked_for(tmp_path, monkeypatch):
    write_miniboone(tmp_path / "packed")
    with tarfile.open(tmp_path / tabular.ARCHIVE, "w:gz") as archive:
        archive.add(tmp_path / "packed" / "miniboone", "data/miniboone")

    monkeypatch.setattr(tabular, "ARCHIVE_MD5", md5(tmp_path / tabular.ARCHIVE))
    source = source_for(Options("miniboone", tmp_path))
    source.download()  # the archive is there already: nothing is fetched
    assert len(source.read("train")) == 81


MISSING = {
    "mnist": "MNIST not found: looked for {root}/MNIST/raw/train-images-idx3-ubyte; add data.download=true",
    "fashion_mnist": "Fashion-MNIST not found: looked for {root}/FashionMNIST/raw/train-images-idx3-ubyte; add",
    "binarized_mnist_static": "looked for {root}/BinarizedMNIST/binarized_mnist_train.amat; add data.download=true",
    "cifar10": "CIFAR-10 not found: looked for {root}/cifar-10-batches-py; add data.download=true or set data_dir=",
    "svhn": "SVHN not found: looked for {root}/train_32x32.mat; add data.download=true",
    "celeba": "CelebA not found: looked for {root}/celeba/img_align_celeba; get img_align_celeba.zip",
    "imagenet32_old": "looked for {root}/imagenet32_old/train_32x32; image-net.org withdrew this set",
    "imagenet64_box": "looked for {root}/imagenet64_box/train_data_batch_1.npz; log in at https://image-net.org",
    "image_folder": "looked for {root}; set data.root=<folder of your pictures>",
    "power": "POWER not found: looked for {root}/power/data.npy; add data.download=true or unpack https://zenodo.org",
    "gas": "looked for {root}/gas/ethylene_CO.pickle",
    "hepmass": "looked for {root}/hepmass/1000_train.csv",
    "miniboone": "looked for {root}/miniboone/data.npy",
    "bsds300": "looked for {root}/BSDS300/BSDS300.hdf5",
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_files_say_what_where_and_how(tmp_path, name: str):
    root = tmp_path / "nothing"
    options = {"variant": name[11:]} if name.startswith("imagenet") else {}
    with pytest.raises(UserError) as error:
        read(root, name, **options)
    assert MISSING[name].format(root=root) in str(error.value)
    assert "\n" not in str(error.value)


def truncate(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_damaged_files_are_named(tmp_path, monkeypatch):
    write_mnist(tmp_path, monkeypatch)
    write_static_mnist(tmp_path, monkeypatch)
    write_cifar10(tmp_path, monkeypatch)
    write_svhn(tmp_path, monkeypatch)
    write_imagenet_box(tmp_path, 32)
    write_power(tmp_path)
    write_hepmass(tmp_path)
    write_bsds300(tmp_path)
    for name, file, options in (
        ("mnist", "MNIST/raw/train-labels-idx1-ubyte", {}),
        ("binarized_mnist_static", "BinarizedMNIST/binarized_mnist_train.amat", {}),
        ("cifar10", "cifar-10-batches-py/data_batch_4", {}),
        ("svhn", "train_32x32.mat", {}),
        ("imagenet32_box", "imagenet32_box/train_data_batch_2.npz", {"variant": "box"}),
        ("power", "power/data.npy", {}),
        ("bsds300", "BSDS300/BSDS300.hdf5", {}),
    ):
        path = truncate(tmp_path / file)
        with pytest.raises(UserError) as error:
            read(tmp_path, name, **options)
        assert f"corrupt file, {path}" in str(error.value)
        assert "delete it and get it again" in str(error.value)
    (tmp_path / "hepmass/1000_test.csv").write_bytes(b"")
    with pytest.raises(UserError, match=r"corrupt file, .*hepmass/1000_test.csv"):
        read(tmp_path, "hepmass")


def test_text_that_is_not_zeros_and_ones_is_no_amat_file(tmp_path, monkeypatch):
    write_static_mnist(tmp_path, monkeypatch)

    path = tmp_path / "BinarizedMNIST/binarized_mnist_train.amat"
    path.write_text(path.read_text().replace("1", "7"))
    monkeypatch.setitem(StaticallyBinarizedMNIST.md5, path.name, md5(path))
    with pytest.raises(UserError, match="it is not 784 digits 0 or 1 a line"):
        read(tmp_path, "binarized_mnist_static")


def test_an_old_pickle_that_pandas_cannot_read(tmp_path):
    write_gas(tmp_path)
    truncate(tmp_path / "gas/ethylene_CO.pickle")
    with pytest.raises(UserError, match=r"pandas .* cannot read .*ethylene_CO.pickle"):
        read(tmp_path, "gas")


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    write_gas(tmp_path)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"needs pandas: run pip install 'genmodels\[tabular\]'"):
        read(tmp_path, "gas")


def test_folders_without_enough_pictures_or_classes(tmp_path):
    write_picture(tmp_path / "few" / "one.png", 9, 9)
    with pytest.raises(UserError, match=r"few holds 1 pictures: data.root needs at least 3"):
        read(tmp_path / "few", "image_folder")
    write_pictures(tmp_path / "many")
    with pytest.raises(UserError, match=r"data.num_classes=3 needs every picture in one of as many folders .* has 2"):
        read(tmp_path / "many", "image_folder", num_classes=3)


@pytest.mark.parametrize("name", ["cifar10", "mnist", "svhn", "binarized_mnist_static", "power", "celeba"])
def test_a_download_that_fails_says_how_to_get_the_files_by_hand(tmp_path, monkeypatch, name: str):
    def no_network(*_args, **_options):
        raise OSError("network unreachable")

    for module in (datasets.utils, datasets.mnist, datasets.cifar, datasets.svhn, tabular):
        for function in ("download_url", "download_and_extract_archive"):
            if hasattr(module, function):
                monkeypatch.setattr(module, function, no_network)
    monkeypatch.setattr("genmodels.data.sources.mnist.download_url", no_network)
    monkeypatch.setattr(datasets.celeba, "download_file_from_google_drive", no_network)
    with pytest.raises(UserError) as error:
        source_for(Options(name, tmp_path)).download()
    message = str(error.value)
    assert "could not be downloaded" in message
    assert "network unreachable" in message
    assert str(tmp_path) in message
    assert "\n" not in message
