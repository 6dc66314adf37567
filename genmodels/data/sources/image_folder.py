"""A user's own pictures."""

import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps

from genmodels.data.colours import Colours, in_colours
from genmodels.data.examples import Examples, ImageFiles, hold_out
from genmodels.data.files import require
from genmodels.data.picture_folder import pictures_below, readable
from genmodels.data.source import Source
from genmodels.errors import UserError

TEST_FRACTION = 0.1


class CentreCrop:
    """Scale to cover `size` [height, width], keep the middle, in colour (3 channels) or grey (1); see `in_colours`."""

    def __init__(self, size: tuple[int, int], channels: int) -> None:
        self.size = size
        self.colours: Colours = "RGB" if channels == 3 else "L"

    def __call__(self, picture: Image.Image) -> np.ndarray:
        height, width = self.size
        upright = _upright(picture, in_colours(picture, self.colours))
        return np.array(ImageOps.fit(upright, (width, height), Image.Resampling.LANCZOS))


class ImageFolder(Source):
    """Every picture below `data.root`, as [channels, size, size] or, with `data.size=[H,W]`, [channels, H, W]; a tenth
    of them, drawn by `split_seed`, is the test part. With `data.num_classes=K` the K folders directly below are the
    classes, in alphabetical order.

    What counts as a picture stands with `pictures_below`; all are looked at before training, see `readable`.
    """

    title = "image folder"
    accepts = frozenset({"size", "channels", "skip_bad"})

    def read(self, part: str) -> Examples:
        channels = 3 if self.options.channels is None else self.options.channels
        if channels not in (1, 3):
            raise UserError(
                f"data.channels={channels} is impossible for image_folder: use 3 for colour, or 1 for grey."
            )
        store = ImageFiles(str(self.root), self._names, CentreCrop(_height_and_width(self.options.size), channels))
        count = max(1, round(TEST_FRACTION * len(self._names)))
        rest, test = hold_out(len(self._names), count, "test", self.options.split_seed)
        return Examples(store, self._labels(self._names)).part(test if part == "test" else rest)

    @cached_property
    def _names(self) -> list[str]:
        require(self.root, "The folder of pictures", "set data.root=<folder of your pictures>")
        if not self.root.is_dir():
            raise UserError(f"data.root={self.root} is a file: set data.root=<folder of your pictures>.")
        names, told = readable(self.root, pictures_below(self.root), self.options.skip_bad)
        if told is not None:
            warnings.warn(told, stacklevel=3)  # past cached_property
        if len(names) < 3:
            raise UserError(
                f"The folder {self.root.absolute()} holds {len(names)} pictures: data.root needs at least 3 "
                "(for training, validation and test)."
            )
        return names

    def _labels(self, names: list[str]) -> torch.Tensor | None:
        if self.options.num_classes is None:
            return None
        stray = [name for name in names if "/" not in name]
        if stray:
            more = f" and {len(stray) - 1:,} more" if len(stray) > 1 else ""
            raise UserError(
                f"data.num_classes={self.options.num_classes} takes the folders below {self.root.absolute()} for "
                f"classes, and {stray[0]}{more} lies beside them: move it into one of them or remove it."
            )
        folders = [Path(name).parts[0] for name in names]
        classes = sorted(set(folders))
        if len(classes) != self.options.num_classes:
            raise UserError(
                f"data.num_classes={self.options.num_classes} needs every picture in one of as many folders below "
                f"{self.root.absolute()}, which has {len(classes)}: set data.num_classes={len(classes)}."
            )
        return torch.tensor([classes.index(folder) for folder in folders])


def _upright(picture: Image.Image, converted: Image.Image) -> Image.Image:
    """`converted` turned as the camera that took `picture` says: it stores the turn beside the pixels."""
    turn = ExifTags.Base.Orientation
    converted.getexif()[turn] = picture.getexif().get(turn, 1)
    return ImageOps.exif_transpose(converted)


def _height_and_width(size: int | Sequence[int] | None) -> tuple[int, int]:
    sides = (64 if size is None else size,) * 2 if size is None or isinstance(size, int) else tuple(size)
    if len(sides) != 2 or min(sides) < 1:
        raise UserError(f"data.size={size} is impossible for image_folder: use a number, or [height,width].")
    return sides[0], sides[1]
