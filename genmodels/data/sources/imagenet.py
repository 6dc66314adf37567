"""ImageNet at 32x32 and 64x64, of which there are two that do not compare."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from genmodels.data.examples import Examples, ImageFiles, PackedImages
from genmodels.data.files import corrupt, replacing, require
from genmodels.data.source import Source
from genmodels.errors import UserError

BOX_TRAIN_FILES = 10


class DownsampledImageNet(Source):
    """ImageNet scaled down to [3, size, size], size 32 or 64; the published validation images are the test part, as in
    every paper, and the data module holds validation images out of the training part.

    `data.variant=old`: the set that the figures of RealNVP, Glow, Flow++ and nearly all others are on (van den Oord et
    al. 2016): 1,281,149 training and 49,999 test images, no labels. image-net.org withdrew it. Files:
    <root>/imagenet<size>_old/{train,valid}_<size>x<size>/*.png, as unpacked from the .tar files; decoded when needed.

    `data.variant=box`: downsampled by box averaging (Chrabaszcz et al. 2017): 1,281,167 and 50,000 images in 1,000
    classes. It is smoother, so its bits/dim are lower: never put the two in one column. Files:
    <root>/imagenet<size>_box/{train_data_batch_1..10,val_data}, .npz or the pickles without ending. They are written
    out once as plain bytes beside them (4 GB at 32, 16 GB at 64) and read from there.
    """

    title = "ImageNet"
    accepts = frozenset({"size", "variant"})

    def read(self, part: str) -> Examples:
        size, variant = self.options.size, self.options.variant
        if size not in (32, 64):
            raise UserError(f"data.size={size} is impossible for {self.options.name}: ImageNet comes in 32 and 64.")
        folder = self.root / f"imagenet{size}_{variant}"
        if variant == "old":
            return self._read_old(folder, size, part)
        return self._read_box(folder, size, part)

    def _read_old(self, folder: Path, size: int, part: str) -> Examples:
        name = f"{'valid' if part == 'test' else 'train'}_{size}x{size}"
        remedy = (
            f"image-net.org withdrew this set and it cannot be downloaded: get {{train,valid}}_{size}x{size}.tar "
            "elsewhere (Academic Torrents) and unpack them there, or use data.variant=box, whose figures do not compare"
        )
        require(folder / name, f"ImageNet{size} (old)", remedy)
        names = sorted(path.name for path in (folder / name).glob("*.png"))
        if not names:
            raise corrupt(folder / name, f"ImageNet{size} (old)", "it holds no .png files")
        return Examples(ImageFiles(str(folder / name), names, _rgb))

    def _read_box(self, folder: Path, size: int, part: str) -> Examples:
        packed = folder / f"{'test' if part == 'test' else 'train'}.bytes"
        labels = packed.with_suffix(".labels.npy")
        if not (packed.exists() and labels.exists()):
            self._pack(self._batches(folder, size, part), size, packed, labels)
        y = torch.from_numpy(np.load(labels))
        return Examples(PackedImages(str(packed), (3, size, size)), y)

    def _batches(self, folder: Path, size: int, part: str) -> list[Path]:
        """The published files of a part, in order, all present."""
        numbers = range(1, BOX_TRAIN_FILES + 1)
        names = ["val_data"] if part == "test" else [f"train_data_batch_{number}" for number in numbers]
        remedy = (
            f"log in at https://image-net.org/download-images, get the npz files of size {size} and unpack them there"
        )
        paths = []
        for name in names:
            pickled, npz = folder / name, folder / f"{name}.npz"
            paths.append(pickled if pickled.exists() else require(npz, f"ImageNet{size} (box)", remedy))
        return paths

    def _pack(self, batches: list[Path], size: int, packed: Path, labels: Path) -> None:
        classes = []
        with replacing(packed) as images:
            for path in batches:
                x, y = _load_batch(path, size)
                images.write(x.tobytes())
                classes.append(y - 1)  # the files count from 1
        with replacing(labels) as file:
            np.save(file, np.concatenate(classes))


def _rgb(picture: Image.Image) -> np.ndarray:
    return np.array(picture.convert("RGB"))


def _load_batch(path: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, 3 * size * size] and labels int64 [N], from 1."""
    try:
        content = _load_arrays(path)
        x, y = np.asarray(content["data"]), np.asarray(content["labels"], dtype=np.int64)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise corrupt(path, f"ImageNet{size} (box)", error) from error
    if x.dtype != np.uint8 or x.shape != (len(y), 3 * size * size):
        raise corrupt(path, f"ImageNet{size} (box)", f"its images are {x.dtype} {list(x.shape)}")
    return x, y


def _load_arrays(path: Path) -> Any:
    if path.suffix == ".npz":
        return np.load(path)
    with path.open("rb") as file:
        return _ArrayUnpickler(file, encoding="latin1").load()


class _ArrayUnpickler(pickle.Unpickler):
    """Reads pickles of arrays, lists and dictionaries and refuses to call anything else: no checksums of these files
    are published, and a pickle can run code."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("numpy") and name in {"ndarray", "dtype", "_reconstruct", "_frombuffer", "scalar"}:
            return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")
