"""A user's own pictures."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from genmodels.data.examples import Examples, ImageFiles, hold_out
from genmodels.data.files import require
from genmodels.data.source import Source
from genmodels.errors import UserError

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".gif"})
TEST_FRACTION = 0.1


class CentreCrop:
    """Scale the shorter side to `size`, keep the middle square, in colour (3 channels) or grey (1)."""

    def __init__(self, size: int, channels: int) -> None:
        self.size, self.mode = size, "RGB" if channels == 3 else "L"

    def __call__(self, picture: Image.Image) -> np.ndarray:
        square = (self.size, self.size)
        upright = ImageOps.exif_transpose(picture)  # cameras store the turn beside the pixels
        return np.array(ImageOps.fit(upright.convert(self.mode), square, Image.Resampling.LANCZOS))


class ImageFolder(Source):
    """Every picture below `data.root`, as [channels, size, size]; a tenth of them, drawn by `split_seed`, is the test
    part. With `data.num_classes=K` the K folders directly below are the classes, in alphabetical order.
    """

    title = "image folder"
    accepts = frozenset({"size", "channels"})

    def read(self, part: str) -> Examples:
        size, channels = self.options.size or 64, self.options.channels or 3
        if channels not in (1, 3) or size < 1:
            raise UserError("image_folder needs data.channels=1 or 3 and a positive data.size.")
        names = self._names()
        store = ImageFiles(str(self.root), names, CentreCrop(size, channels))
        count = max(1, round(TEST_FRACTION * len(names)))
        rest, test = hold_out(len(names), count, "test", self.options.split_seed)
        return Examples(store, self._labels(names)).part(test if part == "test" else rest)

    def _names(self) -> list[str]:
        require(self.root, "The folder of pictures", "set data.root=<folder of your pictures>")
        files = (path for path in self.root.rglob("*") if path.suffix.lower() in ENDINGS)
        names = sorted(path.relative_to(self.root).as_posix() for path in files)
        if len(names) < 3:
            raise UserError(
                f"The folder {self.root.absolute()} holds {len(names)} pictures: data.root needs at least 3 "
                "(for training, validation and test)."
            )
        return names

    def _labels(self, names: list[str]) -> torch.Tensor | None:
        if self.options.num_classes is None:
            return None
        folders = [Path(name).parts[0] if "/" in name else "" for name in names]
        classes = sorted(set(folders))
        if "" in classes or len(classes) != self.options.num_classes:
            raise UserError(
                f"data.num_classes={self.options.num_classes} needs every picture in one of as many folders below "
                f"{self.root.absolute()}, which has {len(set(classes) - {''})}."
            )
        return torch.tensor([classes.index(folder) for folder in folders])
