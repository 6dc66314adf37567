"""Small files in the real formats of the data sets, below one root folder.

Where a reader checks the published md5, the table of md5s is pointed at the small files.
"""

import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from genmodels.data.sources.mnist import MNIST, FashionMNIST, StaticallyBinarizedMNIST

RNG = np.random.default_rng(0)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def write_idx(path: Path, values: np.ndarray) -> None:
    """The idx format: magic number (type 8 is unsigned byte), sizes, values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">{values.ndim + 1}I", 0x0800 + values.ndim, *values.shape)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


def write_mnist(root: Path, monkeypatch: pytest.MonkeyPatch, source: type[MNIST] = MNIST, training: int = 30) -> None:
    folder = root / source.torchvision_class.__name__ / "raw"
    for prefix, count in (("train", training), ("t10k", 12)):
        write_idx(folder / f"{prefix}-images-idx3-ubyte", RNG.integers(0, 256, (count, 28, 28)))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.arange(count) % 10)
    monkeypatch.setattr(source, "md5", {path.name: md5(path) for path in folder.iterdir()})


def write_static_mnist(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "BinarizedMNIST"
    folder.mkdir(parents=True)
    for part, count in (("train", 20), ("valid", 7), ("test", 9)):
        np.savetxt(folder / f"binarized_mnist_{part}.amat", RNG.integers(0, 2, (count, 784)), fmt="%d")
    monkeypatch.setattr(StaticallyBinarizedMNIST, "md5", {path.name: md5(path) for path in folder.iterdir()})


def write_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]:
        content = {b"data": RNG.integers(0, 256, (10, 3072), dtype=np.uint8), b"labels": list(range(10))}
        (folder / name).write_bytes(pickle.dumps(content))
    monkeypatch.setattr(
        datasets.CIFAR10, "train_list", [[f"data_batch_{n}", md5(folder / f"data_batch_{n}")] for n in range(1, 6)]
    )
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", md5(folder / "test_batch")]])


def write_svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {}
    for part, count in (("train", 25), ("test", 11)):
        path = root / f"{part}_32x32.mat"
        images = RNG.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        savemat(path, {"X": images, "y": np.arange(1, count + 1, dtype=np.uint8)[:, None] % 10 + 1})
        known[part] = [datasets.SVHN.split_list[part][0], path.name, md5(path)]
    monkeypatch.setattr(datasets.SVHN, "split_list", known)


def write_picture(path: Path, height: int, width: int, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    size = (height, width) if mode == "L" else (height, width, len(mode))
    Image.fromarray(RNG.integers(0, 256, size, dtype=np.uint8), mode).save(path)


def write_celeba(root: Path) -> None:
    lines = []
    for number in range(12):
        write_picture(root / "celeba" / "img_align_celeba" / f"{number:06d}.jpg", 218, 178)
        lines.append(f"{number:06d}.jpg {min(number // 4, 2)}")
    (root / "celeba" / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")


def write_imagenet_old(root: Path, size: int) -> None:
    for part, count in (("train", 9), ("valid", 4)):
        for number in range(count):
            write_picture(root / f"imagenet{size}_old" / f"{part}_{size}x{size}" / f"{number:07d}.png", size, size)


def write_imagenet_box(root: Path, size: int, pickled: bool = False) -> None:
    folder = root / f"imagenet{size}_box"
    folder.mkdir(parents=True)
    for name in [f"train_data_batch_{number}" for number in range(1, 11)] + ["val_data"]:
        content = {"data": RNG.integers(0, 256, (3, 3 * size * size), dtype=np.uint8), "labels": [1, 500, 1000]}
        if pickled:
            (folder / name).write_bytes(pickle.dumps(content))
        else:
            np.savez(folder / f"{name}.npz", **content)


def write_pictures(root: Path) -> None:
    for number in range(20):
        write_picture(root / ("cats" if number % 2 else "dogs") / f"{number}.png", 70 + number, 90, "RGB")


def write_power(root: Path, count: int = 200) -> np.ndarray:
    (root / "power").mkdir(parents=True)
    data = RNG.normal(size=(count, 8))
    np.save(root / "power" / "data.npy", data)
    return data


def write_miniboone(root: Path) -> None:
    (root / "miniboone").mkdir(parents=True)
    np.save(root / "miniboone" / "data.npy", RNG.normal(size=(100, 43)))


def write_gas(root: Path) -> None:
    import pandas

    (root / "gas").mkdir(parents=True)
    data = pandas.DataFrame(RNG.normal(size=(300, 8)), columns=[f"sensor{number}" for number in range(8)])
    for copy in ("sensor0", "sensor3"):  # nearly the same as another column: to be dropped
        data[f"{copy} again"] = data[copy] + 1e-3 * RNG.normal(size=300)
    for unwanted in ("Meth", "Eth", "Time"):
        data[unwanted] = RNG.normal(size=300)
    data.to_pickle(root / "gas" / "ethylene_CO.pickle")


def write_hepmass(root: Path) -> None:
    """21 continuous columns and 2 discrete ones behind the class; the test file has one column too many."""
    (root / "hepmass").mkdir(parents=True)
    for part, count, extra in (("train", 400, 0), ("test", 100, 1)):
        discrete = RNG.integers(0, 3, (count, 2))
        rows = np.hstack(
            [np.arange(count)[:, None] % 2, RNG.normal(size=(count, 21)), discrete, np.ones((count, extra))]
        )
        names = ",".join(["# label", *(f"f{number}" for number in range(rows.shape[1] - 1))])
        np.savetxt(root / "hepmass" / f"1000_{part}.csv", rows, delimiter=",", header=names, comments="")


def write_bsds300(root: Path) -> None:
    import h5py

    (root / "BSDS300").mkdir(parents=True)
    with h5py.File(root / "BSDS300" / "BSDS300.hdf5", "w") as file:
        for part, count in (("train", 50), ("validation", 10), ("test", 20)):
            file[part] = RNG.normal(size=(count, 63))


def write_everything(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(root, monkeypatch)
    write_mnist(root, monkeypatch, FashionMNIST)
    write_static_mnist(root, monkeypatch)
    write_cifar10(root, monkeypatch)
    write_svhn(root, monkeypatch)
    write_celeba(root)
    for size in (32, 64):
        write_imagenet_old(root, size)
        write_imagenet_box(root, size)
    write_pictures(root / "pictures")
    write_power(root)
    write_miniboone(root)
    write_gas(root)
    write_hepmass(root)
    write_bsds300(root)
