"""A part of a data set: inputs with their labels, in memory or on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genmodels.data.colours import UNREADABLE, why
from genmodels.errors import UserError
from genmodels.picture_files import open_picture
from genmodels.randomness import generator_for

Batch = tuple[Tensor, Tensor | None]


class Store(Protocol):
    """Images on disk that are read when a batch asks for them."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Row numbers int64 [B] -> uint8 [B, C, H, W]."""
        ...


@dataclass(frozen=True)
class Examples:
    """Inputs x, labels y and which rows of both belong to this part.

    Args:
        x: uint8 [N, C, H, W] or float32 [N, D] in memory, or a store of N images.
        y: int64 [N], or None.
        rows: int64, the rows that belong to the part; None for all of them.
    """

    x: Tensor | Store
    y: Tensor | None = None
    rows: Tensor | None = None

    @property
    def in_memory(self) -> bool:
        return isinstance(self.x, Tensor)

    def __len__(self) -> int:
        return len(self.x) if self.rows is None else len(self.rows)

    def __getitem__(self, indices: Tensor) -> Batch:
        """Positions int64 [B] within the part -> a batch."""
        rows = indices if self.rows is None else self.rows[indices]
        if isinstance(self.x, Tensor):
            rows = rows.to(self.x.device)
            x = self.x.index_select(0, rows)
        else:
            x = self.x[rows]
        return x, None if self.y is None else self.y[rows]

    def part(self, rows: Tensor) -> "Examples":
        """The part at these positions; nothing is copied."""
        return Examples(self.x, self.y, rows if self.rows is None else self.rows[rows])

    def to(self, device: torch.device) -> "Examples":
        """The part's own rows on the device (only for examples in memory); nothing is copied that is there already."""
        x, y = (self.x, self.y) if self.rows is None else self[torch.arange(len(self))]
        assert isinstance(x, Tensor)
        return Examples(x.to(device), None if y is None else y.to(device))


def hold_out(size: int, count: int, purpose: str, seed: int) -> tuple[Tensor, Tensor]:
    """Split range(size) at random into what stays and `count` held-out positions, each in ascending order.

    A function of the arguments alone: every run with the same seed holds out the same images.
    """
    order = torch.randperm(size, generator=generator_for(purpose, seed))
    return order[count:].sort().values, order[:count].sort().values


class Decoder(Protocol):
    """An opened picture -> uint8 array [H, W] or [H, W, C]."""

    def __call__(self, picture: Image.Image) -> np.ndarray: ...


class ImageFiles:
    """A store of picture files, decoded when they are needed.

    Args:
        folder: where the files are.
        names: their paths below the folder.
        decode: crops and resizes; every result has the same shape.
    """

    def __init__(self, folder: str, names: Sequence[str], decode: Decoder) -> None:
        self.folder = folder
        self.names = np.array(names)  # one array, not a million objects that every worker would copy by touching them
        self.decode = decode

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: Tensor) -> Tensor:
        return torch.stack([self._read(f"{self.folder}/{name}") for name in self.names[rows.numpy()]])

    def _read(self, path: str) -> Tensor:
        try:
            with open_picture(path) as picture:
                pixels = torch.from_numpy(np.array(self.decode(picture)))
        except UNREADABLE as error:
            raise UserError(f"The picture {path} cannot be read ({why(error)}): replace or remove it.") from error
        return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)


class PackedImages:
    """A store of images one after the other in one file of bytes, each C*H*W long."""

    def __init__(self, path: str, shape: tuple[int, int, int]) -> None:
        self.path, self.shape = path, shape
        self._images = np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, *shape)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: Tensor) -> Tensor:
        return torch.from_numpy(self._images[rows.numpy()])

    def __reduce__(self) -> tuple[type, tuple[str, tuple[int, int, int]]]:
        return type(self), (self.path, self.shape)  # a worker maps the file itself instead of receiving its bytes
