"""Convolutions that see the past alone, over whole images and, with a cache, one pixel or row at a time."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.networks.kept import KeepsValues


class Cache:
    """What convolutions keep of their inputs while an image is drawn: the last rows that their kernels reach.

    A network that is run on one pixel [B, C, 1, 1], or on one row [B, C, 1, W], with the cache at hand does what it
    would do there within the whole image. Rows come in order, and the pixels of a row too; a pixel may come again.

    Args:
        width: of the images (of the feature maps, where they are smaller).
    Attributes:
        row, column: the pixel being drawn, set by whoever draws.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.row = 0
        self.column = 0
        self._rows: dict[object, tuple[int, Tensor]] = {}

    def window(self, layer: object, x: Tensor, kernel_size: tuple[int, int], left: int) -> Tensor:
        """What a kernel of `layer` sees, its last row at this row: [B, C, kernel height, kernel width].

        Args:
            x: the layer's input here, a pixel or a row; kept.
            left: columns of the kernel left of the pixel.
        Returns: for a row the window of all its pixels, [B, C, kernel height, W + kernel width - 1].
        """
        rows = self._up_to_date(layer, x, kernel_size)
        if x.shape[3] == self.width:
            rows[:, :, -1, left : left + self.width] = x[:, :, 0]
            return rows
        rows[:, :, -1, left + self.column] = x[:, :, 0, 0]
        return rows[:, :, :, self.column : self.column + kernel_size[1]]

    def _up_to_date(self, layer: object, x: Tensor, kernel_size: tuple[int, int]) -> Tensor:
        height, width = kernel_size
        if layer not in self._rows:
            rows = x.new_zeros(x.shape[0], x.shape[1], height, self.width + width - 1)
        else:
            at, rows = self._rows[layer]
            for _ in range(at, self.row):
                rows[:, :, :-1] = rows[:, :, 1:].clone()
                rows[:, :, -1] = 0
        self._rows[layer] = (self.row, rows)
        return rows


class CausalConv2d(KeepsValues):
    """A convolution whose kernel ends on the current row.

        sees="left"   and in that row on the current pixel (the "down-right shifted" convolution of PixelCNN++)
        sees="around" and reaches equally far to both sides of it ("down shifted")

    Causal in the sense of an autoregressive model is what a network makes of it: the current pixel is among the
    inputs, and "around" has pixels to the right of it. Starts as torch's convolutions do.

    Args:
        kernel_size: height and width; the width is odd for "around".
        sees: which pixels of the current row.
    Shapes: [B, in_channels, H, W] -> [B, out_channels, H, W]; with a cache, a pixel to a pixel, a row to a row.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, int],
        sees: Literal["left", "around"] = "left",
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.left = kernel_size[1] - 1 if sees == "left" else kernel_size[1] // 2
        self.weight = torch.nn.Parameter(torch.empty(out_channels, in_channels, *kernel_size))
        self.bias = torch.nn.Parameter(torch.empty(out_channels))
        bound = (in_channels * kernel_size[0] * kernel_size[1]) ** -0.5
        torch.nn.init.uniform_(self.weight, -bound, bound)
        torch.nn.init.uniform_(self.bias, -bound, bound)

    def kernel(self) -> Tensor:
        """[out_channels, in_channels, height, width], what the input is convolved with."""
        return self.weight

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        kernel = self.kernel()
        if self.kernel_size != (1, 1):
            x = F.pad(x, self._padding) if cache is None else cache.window(self, x, self.kernel_size, self.left)
        return F.conv2d(x, kernel, self.bias) if cache is None else self._of_window(x, kernel)

    def look(self, x: Tensor, row: int, column: int | None = None) -> Tensor:
        """The output at one pixel, or in one row, of a whole image [B, in_channels, H, W].

        For the first layer, whose input at a pixel changes once that pixel is drawn.
        Returns: [B, out_channels, 1, 1], or [B, out_channels, 1, W].
        """
        left, right, above, _ = self._padding
        first = row - above
        x = F.pad(x[:, :, max(0, first) : row + 1], (left, right, max(0, -first), 0))
        return self._of_window(
            x if column is None else x[:, :, :, column : column + self.kernel_size[1]], self.kernel()
        )

    def _of_window(self, window: Tensor, kernel: Tensor) -> Tensor:
        if window.shape[3] > self.kernel_size[1]:
            return F.conv2d(window, kernel, self.bias)
        # For one pixel a matrix product: a convolution would first bring its kernel into another layout.
        return F.linear(window.flatten(1), kernel.flatten(1), self.bias)[:, :, None, None]

    @property
    def _padding(self) -> tuple[int, int, int, int]:
        height, width = self.kernel_size
        return (self.left, width - 1 - self.left, height - 1, 0)


class MaskedConv2d(CausalConv2d):
    """A convolution whose last row ends at the current pixel, and there at the colours that have been drawn.

    Van den Oord et al. 2016 (PixelRNN), Section 3.4. The channels of hidden layers belong to the colours in turn:
    channel k to colour k mod `colours`, so that splitting channels into halves keeps them apart. At the current pixel
    an output of colour c sees inputs of colours below c (mask A, for the first layer) or up to c (mask B).

    Args:
        kernel_size: height and width of the part that is not masked; the width is odd for "around".
        mask: "A" or "B".
        colours: 1 where the colours of a pixel are not told apart.
        sees: of the current row: "left", or "around", whose weights right of the current pixel are masked too.
    Raises:
        ValueError: channels that do not divide by the colours.
    """

    mask: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, int],
        mask: Literal["A", "B"],
        colours: int = 1,
        sees: Literal["left", "around"] = "left",
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, sees)
        if in_channels % colours or out_channels % colours:
            raise ValueError(f"{in_channels} and {out_channels} channels do not divide by {colours} colours")
        seen = torch.ones(out_channels, in_channels, *kernel_size)
        seen[:, :, -1, self.left + 1 :] = 0.0
        ours = torch.arange(out_channels)[:, None] % colours
        theirs = torch.arange(in_channels) % colours
        seen[:, :, -1, self.left] = (theirs < ours if mask == "A" else theirs <= ours).to(seen.dtype)
        self.register_buffer("mask", seen, persistent=False)

    def kernel(self) -> Tensor:
        return self.kept(lambda: self.weight * self.mask, self.weight)
