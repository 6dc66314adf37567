"""Convolutions that see the past alone, over whole images and, with a cache, one pixel or row at a time."""

import itertools
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.eval_cache import CachesInEval


class Cache:
    """What convolutions keep of their inputs while an image is drawn: the last rows that their kernels reach.

    A network that is run on one pixel [B, C, 1, 1], or on one row [B, C, 1, W], with the cache at hand does what it
    would do there within the whole image. Rows come in order, and the pixels of a row too; a pixel may come again.
    Parameters must not change meanwhile.

    Args:
        width: of the images (of the feature maps, where they are smaller).
    Attributes:
        row, column: the pixel being drawn, set by whoever draws.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.row = 0
        self.column = 0
        self._inputs: dict[object, _Inputs] = {}
        self._matrices: dict[object, Tensor] = {}

    def window(self, layer: object, x: Tensor, kernel_size: tuple[int, int], left: int) -> Tensor:
        """What a kernel of `layer` sees, its last row at this row.

        Args:
            x: the layer's input here, a pixel or a row; kept.
            left: columns of the kernel left of the pixel.
        Returns: for a row the window of all its pixels, [B, C, kernel height, W + kernel width - 1]; for a pixel
            [B, kernel width * kernel height * C], to be multiplied by `as_matrix` of the kernel.
        """
        inputs = self._inputs.get(layer)
        if inputs is None:
            inputs = self._inputs[layer] = _Inputs(x, self.width, kernel_size, self.row)
        inputs.move_to(self.row)
        if x.shape[3] == self.width:
            inputs.rows[:, :, -1, left : left + self.width] = x[:, :, 0]
            return inputs.rows
        inputs.pixels[left + self.column].copy_(x)
        return inputs.windows[self.column]

    def matrix(self, layer: "CausalConv2d") -> Tensor:
        """`as_matrix` of the layer's kernel, computed once."""
        matrix = self._matrices.get(layer)
        if matrix is None:
            matrix = self._matrices[layer] = as_matrix(layer.kernel())
        return matrix


class _Inputs:
    """The last rows of a layer's input, zeros to both sides of them.

    Attributes:
        rows: [B, C, kernel height, width + kernel width - 1]. In memory channels lie innermost, and if pixels come one
            by one rows inside columns, so that all a kernel sees is one stretch.
        pixels, windows: for every column, views of the last row's pixel there, [B, C, 1, 1], and of what a kernel sees.
    """

    def __init__(self, x: Tensor, width: int, kernel_size: tuple[int, int], row: int) -> None:
        height, kernel_width = kernel_size
        batch, channels, _, at_once = x.shape
        columns = width + kernel_width - 1
        self._row = row
        if at_once == width:
            self.rows = x.new_zeros(batch, height, columns, channels).permute(0, 3, 1, 2)
            return
        by_column = x.new_zeros(batch, columns, height, channels)
        self.rows = by_column.permute(0, 3, 2, 1)
        self.pixels = self.rows[:, :, -1:].split(1, dim=3)
        self.windows = [by_column[:, column : column + kernel_width].flatten(1) for column in range(width)]

    def move_to(self, row: int) -> None:
        for _ in range(self._row, row):
            if self.rows.shape[2] > 1:
                self.rows[:, :, :-1] = self.rows[:, :, 1:].clone()
            self.rows[:, :, -1] = 0
        self._row = row


def as_matrix(kernel: Tensor) -> Tensor:
    """[out_channels, in_channels, height, width] -> [out_channels, width * height * in_channels]."""
    return kernel.permute(0, 3, 2, 1).flatten(1)


class CausalConv2d(CachesInEval):
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
        if cache is None:
            return self._convolved(x)
        if self.kernel_size == (1, 1):
            return self._convolved(x) if x.shape[3] > 1 else self._of_window(x.flatten(1), cache.matrix(self))
        window = cache.window(self, x, self.kernel_size, self.left)
        if window.dim() == 2:
            return self._of_window(window, cache.matrix(self))
        return F.conv2d(window, self.kernel(), self.bias)

    def look(self, x: Tensor, row: int, column: int | None = None) -> Tensor:
        """The output at one pixel, or in one row, of a whole image [B, in_channels, H, W].

        For the first layer, whose input at a pixel changes once that pixel is drawn.
        Returns: [B, out_channels, 1, 1], or [B, out_channels, 1, W].
        """
        left, right, above, _ = self._padding
        first = row - above
        x = F.pad(x[:, :, max(0, first) : row + 1], (left, right, max(0, -first), 0))
        if column is None:
            return F.conv2d(x, self.kernel(), self.bias)
        window = x[:, :, :, column : column + self.kernel_size[1]]
        return self._of_window(window.flatten(1), self.kernel().flatten(1))

    def _convolved(self, x: Tensor) -> Tensor:
        """The output for whole images or rows of them."""
        kernel = self.kernel()
        if self.kernel_size == (1, 1) and x.is_contiguous(memory_format=torch.channels_last):
            # Torch's 1x1 convolution of small batches on one thread is slower.
            return F.linear(x.permute(0, 2, 3, 1), kernel.flatten(1), self.bias).permute(0, 3, 1, 2)
        return F.conv2d(F.pad(x, self._padding), kernel, self.bias)

    def _of_window(self, window: Tensor, matrix: Tensor) -> Tensor:
        # For one pixel a matrix product: a convolution would first bring its kernel into another layout.
        out = F.linear(window, matrix, self.bias)
        return out.view(*out.shape, 1, 1)

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
        self.masks = mask == "A" or colours > 1 or sees == "around"

    def kernel(self) -> Tensor:
        if not self.masks:
            return self.weight
        return self.cached(lambda: self.weight * self.mask, self.weight)


class MaskedOutput(nn.ModuleList):
    """From features to a likelihood's parameters: ReLU and a 1x1 convolution with mask B, again and again.

    Van den Oord et al. 2016 (PixelRNN), Table 1.

    Args:
        widths: channels of the features, of what lies between, and of the parameters.
        colours: as in `MaskedConv2d`.
    Shapes: [B, widths[0], H, W] -> [B, widths[-1], H, W]; with a cache, a pixel to a pixel.
    """

    def __init__(self, widths: Sequence[int], colours: int) -> None:
        super().__init__(
            MaskedConv2d(above, below, (1, 1), "B", colours) for above, below in itertools.pairwise(widths)
        )

    def forward(self, h: Tensor, cache: Cache | None = None) -> Tensor:
        for layer in self:
            h = layer(F.relu(h), cache)
        return h
