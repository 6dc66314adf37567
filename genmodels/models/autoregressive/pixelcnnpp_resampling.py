"""Causal convolutions between an image and one of half its size, over whole images and, with a cache, step by step."""

import torch.nn.functional as F
from torch import Tensor

from genmodels.networks.causal_conv import Cache
from genmodels.networks.weight_norm import WeightNormConv2d


class ScaleCache(Cache):
    """The cache of one scale, and below it those of the smaller ones.

    Args:
        width: of the images at this scale.
        num_halvings: how many smaller scales there are.
        by_rows: whether the network is run on whole rows, else on pixels.
    Attributes:
        smaller: the cache of the next scale.
    """

    def __init__(self, width: int, num_halvings: int, by_rows: bool) -> None:
        super().__init__(width)
        self.by_rows = by_rows
        self.smaller = ScaleCache(width // 2, num_halvings - 1, by_rows) if num_halvings else None
        self._two_rows: dict[object, Tensor] = {}

    def move_to(self, row: int, column: int) -> None:
        """Where the network is run next; scales of half the size follow at even rows and columns."""
        self.row, self.column = row, column
        if self.smaller is not None:
            self.smaller.move_to(row // 2, column // 2)

    def here(self, rows: Tensor) -> Tensor:
        """[B, C, 1, width] -> [B, C, 1, 1], at the current column."""
        return rows[:, :, :, self.column, None]

    def spread(self, layer: object, x: Tensor | None) -> Tensor:
        """The current row or pixel of what `layer` has spread over two rows.

        Args:
            x: two rows [B, C, 2, width] or two by two pixels, the current one first; None where it spread nothing anew.
        """
        if x is not None and self.by_rows:
            self._two_rows[layer] = x
        elif x is not None:
            if layer not in self._two_rows:
                self._two_rows[layer] = x.new_empty(x.shape[0], x.shape[1], 2, self.width)
            self._two_rows[layer][:, :, :, self.column : self.column + 2] = x
        rows = self._two_rows[layer][:, :, self.row % 2, None]
        return rows if self.by_rows else self.here(rows)


class Downsample2d(WeightNormConv2d):
    """A causal convolution at every second row and column, counted from the first.

    Shapes: [B, C, H, W] -> [B, C', H/2, W/2]; with a cache None where there is no output.
    """

    def forward(self, x: Tensor, cache: ScaleCache | None = None) -> Tensor | None:  # type: ignore[override]
        padded = F.pad(x, self._padding) if cache is None else cache.window(self, x, self.kernel_size, self.left)
        if self.is_pending:
            self._initialize_from(lambda: self._strided(padded))
        if cache is None:
            return self._strided(padded)
        if cache.row % 2 or cache.column % 2:
            return None
        return self._strided(padded) if cache.by_rows else self._of_window(padded, cache.matrix(self))

    def _strided(self, padded: Tensor) -> Tensor:
        return F.conv2d(padded, self.kernel(), self.bias, stride=2)


class Upsample2d(WeightNormConv2d):
    """The transposed convolution of stride 2, its kernel [C', C, height, width] as elsewhere.

    Pixel (i, j) spreads to rows 2i and 2i + 1 and there to columns 2j and 2j + 1 ("left") or 2j - 1 to 2j + 1
    ("around", which sees rows above alone): never to what is drawn before it.

    Args:
        kernel_size: (2, 2) for "left", (2, 3) for "around".
    Shapes: [B, C, H, W] -> [B, C', 2H, 2W]; with a cache (of the larger scale) a row or pixel, or None where the
        smaller scale has nothing new, to the current row or pixel.
    """

    def forward(self, x: Tensor | None, cache: ScaleCache | None = None) -> Tensor:  # type: ignore[override]
        if cache is not None:
            return cache.spread(self, None if x is None else self._spread(x))
        assert x is not None
        if self.is_pending:
            self._initialize_from(lambda: self._spread(x))
        return self._spread(x)

    def _spread(self, x: Tensor) -> Tensor:
        cut = self.kernel_size[1] - 2
        kernel = self.kernel().transpose(0, 1)
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=(0, cut), output_padding=(0, cut))
