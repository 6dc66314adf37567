"""ImageNet at 32x32 and 64x64, of which there are two that do not compare."""

import pickle
import zipfile
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image

from genmodels.data.colours import in_colours
from genmodels.data.examples import Examples, ImageFiles, PackedImages
from genmodels.data.files import corrupt, require
from genmodels.data.pickles import read_arrays
from genmodels.data.source import Options, Source
from genmodels.errors import UserError
from genmodels.files import replacing

BOX_TRAIN_FILES = 10
DAMAGE = (
    *(OSError, EOFError, KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, NotImplementedError),
)
_MOST_IMAGES = 200_000  # in one file; of the published ones each has a tenth of 1,281,167, or 50,000
_NUM_CLASSES = 1000


class DownsampledImageNet(Source):
    """ImageNet scaled down to [3, size, size]; the published validation images are the test part, as in
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
    accepts = frozenset({"variant"})
    size: ClassVar[int]

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        if not options.name.endswith(f"_{options.variant}"):
            raise UserError(
                f"data.variant={options.variant} contradicts data.name={options.name}: set only the variant."
            )
        self.folder = self.root / f"imagenet{self.size}_{options.variant}"
        self.label = f"ImageNet {self.size}x{self.size} ({options.variant})"

    def read(self, part: str) -> Examples:
        return self._read_old(part) if self.options.variant == "old" else self._read_box(part)

    def _read_old(self, part: str) -> Examples:
        folder = self.folder / f"{'valid' if part == 'test' else 'train'}_{self.size}x{self.size}"
        remedy = (
            f"image-net.org withdrew this set and it cannot be downloaded: get {folder.name}.tar elsewhere (Academic "
            "Torrents) and unpack it there, or use data.variant=box, whose figures do not compare"
        )
        require(folder, self.label, remedy)
        names = sorted(path.name for path in folder.glob("*.png"))
        if not names:
            raise corrupt(folder, self.label, "it holds no .png files")
        return Examples(ImageFiles(str(folder), names, _rgb))

    def _read_box(self, part: str) -> Examples:
        packed = self.folder / f"{'test' if part == 'test' else 'train'}.bytes"
        labels = packed.with_suffix(".labels.npy")
        if not (packed.exists() and labels.exists()):
            self._pack(self._batches(part), packed, labels)
        try:
            store = PackedImages(str(packed), (3, self.size, self.size))
            classes = torch.from_numpy(np.array(np.load(labels, mmap_mode="r")))
        except DAMAGE as error:
            raise UserError(f"{packed} or {labels} is damaged ({error}): delete both, they are made anew") from error
        if classes.dtype != torch.int64 or classes.shape != (len(store),) or not _are_classes(classes):
            raise UserError(f"{labels} does not fit {packed}: delete both, they are made anew")
        return Examples(store, classes)

    def _batches(self, part: str) -> list[Path]:
        """The published files of a part, in order, all present."""
        numbers = range(1, BOX_TRAIN_FILES + 1)
        names = ["val_data"] if part == "test" else [f"train_data_batch_{number}" for number in numbers]
        remedy = "log in at https://image-net.org/download-images, get the npz files of this size and unpack them there"
        paths = []
        for name in names:
            pickled, npz = self.folder / name, self.folder / f"{name}.npz"
            paths.append(pickled if pickled.exists() else require(npz, self.label, remedy))
        return paths

    def _pack(self, batches: list[Path], packed: Path, labels: Path) -> None:
        classes = []
        with replacing(packed) as images:
            for path in batches:
                x, y = self._load(path)
                images.write(x.tobytes())
                classes.append(y - 1)  # the files count from 1
        with replacing(labels) as file:
            np.save(file, np.concatenate(classes))

    def _load(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 [N, 3 * size * size] and labels int64 [N], from 1."""
        largest = _MOST_IMAGES * 3 * self.size**2
        try:
            content = _read_npz(path, largest) if path.suffix == ".npz" else read_arrays(path)
            x, y = content["data"], content["labels"].astype(np.int64)
        except DAMAGE as error:
            raise corrupt(path, self.label, error) from error
        if x.dtype != np.uint8 or x.shape != (len(y), 3 * self.size**2):
            raise corrupt(path, self.label, f"its images are {x.dtype} {list(x.shape)}")
        return x, y


class ImageNet32(DownsampledImageNet):
    """ImageNet at 32x32."""

    size = 32


class ImageNet64(DownsampledImageNet):
    """ImageNet at 64x64."""

    size = 64


def _are_classes(labels: torch.Tensor) -> bool:
    return not len(labels) or (int(labels.min()) >= 0 and int(labels.max()) < _NUM_CLASSES)


def _rgb(picture: Image.Image) -> np.ndarray:
    return np.array(in_colours(picture, "RGB"))


def _read_npz(path: Path, largest: int) -> dict[str, np.ndarray]:
    """The two arrays of an .npz, each of at most `largest` bytes: compressed zeros would fill the memory."""
    with zipfile.ZipFile(path) as archive:
        for name in ("data.npy", "labels.npy"):
            if archive.getinfo(name).file_size > largest:
                raise ValueError(f"its {name} has more than {largest:,} bytes")
    with np.load(path) as arrays:
        return {name: arrays[name] for name in ("data", "labels")}
