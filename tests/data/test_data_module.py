from types import SimpleNamespace

import pytest
import torch
from tiny_files import write_cifar10, write_mnist, write_pictures

from genmodels.data import DataModule
from genmodels.data.loader import BatchLoader
from genmodels.errors import UserError

pytestmark = pytest.mark.usefixtures("empty_caches")  # of pictures that were looked at


def digits(**options) -> DataModule:
    arguments = {
        "shape": [1, 8, 8],
        "levels": 17,
        "num_classes": 10,
        "root": "data",
        "batch_size": 50,
        "validation": 250,
    }
    return DataModule("digits", **{**arguments, **options})


def pixels(loader: BatchLoader) -> torch.Tensor:
    return torch.cat([x for x, _ in loader])


def test_parts_are_disjoint_and_make_up_the_whole():
    data = digits(batch_size=1)
    rows = []
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        examples = loader.examples
        rows.append(set(examples.rows.tolist()))
        assert len(loader) == len(rows[-1]) == len(examples)
    train, validation, test = rows
    assert [len(part) for part in rows] == [1297, 250, 250]
    assert train | validation | test == set(range(1797))


def test_parts_do_not_depend_on_seed_but_on_split_seed():
    one, other_seed, other_split = digits(), digits(seed=1), digits(split_seed=1)
    for loader in ("val_dataloader", "test_dataloader"):
        images = pixels(getattr(one, loader)())
        assert torch.equal(images, pixels(getattr(other_seed, loader)()))
        assert not torch.equal(images, pixels(getattr(other_split, loader)()))
    assert not torch.equal(pixels(one.train_dataloader()), pixels(other_seed.train_dataloader()))


def test_parts_and_order_are_the_same_in_every_process():
    """The numbers are what one process drew; figures of different runs compare only while they stay."""
    data = digits()
    train, validation = data.train_dataloader(), data.val_dataloader()
    assert validation.examples.rows[:5].tolist() == [2, 5, 9, 13, 23]
    assert data.test_dataloader().examples.rows[:5].tolist() == [15, 24, 31, 32, 35]
    assert next(iter(train.sampler))[:5].tolist() == [740, 398, 830, 1279, 445]


def test_fractions_hold_out_that_share():
    data = digits(validation=0.1)
    assert len(data.val_dataloader().examples) == 154  # of 1,547
    assert len(data.train_dataloader().examples) == 1547 - 154


def test_reduced_levels_divide_every_part(tmp_path, monkeypatch):
    write_cifar10(tmp_path, monkeypatch)
    options = {"root": str(tmp_path), "batch_size": 5, "validation": 10}
    full = DataModule("cifar10", [3, 32, 32], 256, 10, **options)
    reduced = DataModule("cifar10", [3, 32, 32], 32, 10, **options)
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        assert torch.equal(pixels(getattr(reduced, loader)()), pixels(getattr(full, loader)()) // 8)


def test_augmentation_is_for_training_only(tmp_path, monkeypatch):
    write_cifar10(tmp_path, monkeypatch)
    options = {"root": str(tmp_path), "batch_size": 5, "validation": 10}
    plain = DataModule("cifar10", [3, 32, 32], 256, 10, **options)
    augmented = DataModule("cifar10", [3, 32, 32], 256, 10, **options, flip=True, shift=0.1)
    assert torch.equal(pixels(plain.val_dataloader()), pixels(augmented.val_dataloader()))
    assert torch.equal(pixels(plain.test_dataloader()), pixels(augmented.test_dataloader()))
    assert not torch.equal(pixels(plain.train_dataloader()), pixels(augmented.train_dataloader()))


def test_binarised_images_change_in_training_and_stay_in_evaluation(tmp_path, monkeypatch):
    write_mnist(tmp_path, monkeypatch)
    options = {"root": str(tmp_path), "validation": 10, "binarize": True}
    data = DataModule("binarized_mnist", [1, 28, 28], 2, 10, batch_size=5, **options)
    other_run = DataModule("binarized_mnist", [1, 28, 28], 2, 10, batch_size=2, seed=3, **options)
    train = data.train_dataloader()
    ones = []
    for epoch in (0, 1):
        train.sampler.set_epoch(epoch)
        images = pixels(train)
        assert set(images.unique().tolist()) == {0, 1}
        ones.append(int(images.sum()))  # over all images, so the order is no matter
    assert ones[0] != ones[1]
    for loader in ("val_dataloader", "test_dataloader"):
        images = pixels(getattr(data, loader)())
        assert torch.equal(images, pixels(getattr(data, loader)()))
        assert torch.equal(images, pixels(getattr(other_run, loader)()))  # whatever its seed and batch size


def test_ranks_split_the_batch():
    data = digits(batch_size=60)
    data.trainer = SimpleNamespace(global_rank=2, world_size=3)
    loader = data.train_dataloader()
    assert len(loader) == 1297 // 60
    assert all(len(x) == 20 for x, _ in loader)


def test_resident_examples_are_the_same():
    plain, resident = digits(), digits(device_resident=True)
    resident.trainer = SimpleNamespace(
        global_rank=0, world_size=1, strategy=SimpleNamespace(root_device=torch.device("cpu"))
    )
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for (x, y), (resident_x, resident_y) in zip(getattr(plain, loader)(), getattr(resident, loader)(), strict=True):
            assert torch.equal(x, resident_x)
            assert torch.equal(y, resident_y)


def test_classes_can_be_left_out():
    assert all(y is None for _, y in digits(num_classes=None).test_dataloader())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"batch_size": 0}, "data.batch_size=0 must be positive"),
        ({"batch_size": 5000}, "data.batch_size=5000 is more than the 1297 training examples of digits"),
        ({"levels": 16}, "data.levels=16 is impossible for digits: use 17"),
        ({"levels": None}, "data.levels=None is impossible for digits"),
        ({"levels": 2}, "data.levels=2 is impossible for digits"),
        ({"binarize": True}, "set data.levels=2, not 17"),
        ({"shift": 1.5}, "data.shift=1.5 must be a fraction"),
        ({"shift": -0.1}, "data.shift=-0.1 must be a fraction"),
        ({"num_workers": -1}, "data.num_workers=-1 must not be negative"),
        ({"split_seed": -1}, "data.split_seed=-1 must not be negative"),
        ({"validation": 0}, "data.validation=0 must say how many"),
        ({"validation": None}, "data.validation=None must say how many"),
        ({"validation": 1547}, "data.validation=1547 leaves no training examples"),
        ({"size": 32}, "data.size cannot be chosen for digits"),
        ({"shape": [1, 28, 28]}, r"data.shape=\[1, 28, 28\] does not fit digits, which has \[1, 8, 8\]"),
        ({"num_classes": 5}, "data.num_classes=5 is less than the classes of digits"),
        ({"root": None}, "data.root is not set"),
    ],
)
def test_impossible_values_are_one_sentence(options, sentence):
    with pytest.raises(UserError, match=sentence):
        digits(**options).train_dataloader()


def test_batches_that_the_devices_do_not_divide():
    data = digits(batch_size=50)
    data.trainer = SimpleNamespace(global_rank=0, world_size=3)
    with pytest.raises(UserError, match=r"data.batch_size=50 cannot be divided among 3 devices"):
        data.train_dataloader()


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UserError, match=r"data.name=cifar11 is not known: use one of digits, mnist, .*cifar10"):
        DataModule("cifar11", [3, 32, 32], 256, 10, "data", 10, 10)


@pytest.mark.parametrize("option", [{"flip": True}, {"shift": 0.1}, {"levels": 256}])
def test_vectors_have_no_pixels(option):
    with pytest.raises(UserError, match="moons holds vectors"):
        DataModule("moons", **{"shape": [2], "levels": None, "num_classes": None, "root": "data", "batch_size": 9,
                               "validation": 10, **option})  # fmt: skip


def test_labels_that_are_not_there():
    with pytest.raises(UserError, match=r"moons has no labels: data.num_classes must be null"):
        DataModule("moons", [2], None, 2, "data", 10, 10).train_dataloader()


def test_a_set_with_its_own_validation_part_keeps_it():
    with pytest.raises(UserError, match="power has a validation part of its own"):
        DataModule("power", [6], None, None, "data", 10, validation=100)


@pytest.mark.parametrize("option", [{"device_resident": True}, {"binarize": True, "levels": 2}])
def test_sets_on_disk_do_not_live_on_the_device(tmp_path, option):
    write_pictures(tmp_path)
    arguments = {"shape": [3, 64, 64], "levels": 256, "num_classes": None, "batch_size": 2, "validation": 0.1, **option}
    with pytest.raises(UserError, match="image_folder is read from disk"):
        DataModule("image_folder", root=str(tmp_path), **arguments).train_dataloader()
