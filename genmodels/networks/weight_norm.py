"""Weight normalisation (Salimans & Kingma 2016) for causal networks, initialised from data as in PixelCNN++."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.causal_conv import Cache, CausalConv2d
from genmodels.networks.data_init import DataInitialized


class WeightNormConv2d(CausalConv2d, DataInitialized):
    """A causal convolution with the kernel g V / |V|, the norm taken for each output channel.

    V starts as N(0, 0.05), g as 1, the bias as 0. The first batch sets g and bias so that each channel of the output
    has mean 0 and deviation `init_scale` (official code of PixelCNN++, `conv2d` and, for kernel_size (1, 1), `nin`).

    Args:
        kernel_size: height and width; the width is odd for "around".
        sees: which pixels of the current row, as in `CausalConv2d`.
        init_scale: deviation of the output on the first batch.
    Shapes: [B, in_channels, H, W] -> [B, out_channels, H, W]; with a cache, a pixel to a pixel, a row to a row.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, int] = (1, 1),
        sees: Literal["left", "around"] = "left",
        init_scale: float = 1.0,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, sees)
        self.init_scale = init_scale
        self.scale = nn.Parameter(torch.ones(out_channels))
        nn.init.normal_(self.weight, std=0.05)
        nn.init.zeros_(self.bias)

    def kernel(self) -> Tensor:
        # What torch.nn.utils.parametrizations.weight_norm computes: forward and backward are one kernel each.
        return self.kept(lambda: torch._weight_norm(self.weight, self.scale.view(-1, 1, 1, 1)), self.weight, self.scale)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        if self.is_pending:
            self._initialize_from(lambda: super(WeightNormConv2d, self).forward(x))
        return super().forward(x, cache)

    def _initialize_from(self, run: Callable[[], Tensor]) -> None:
        self.scale.fill_(1.0)
        self.bias.zero_()
        variance, mean = torch.var_mean(run(), dim=(0, 2, 3), correction=0)
        self.scale.copy_(self.init_scale / torch.sqrt(variance + 1e-10))
        self.bias.copy_(-mean * self.scale)
        self._done()


class WeightNormDownsample2d(WeightNormConv2d):
    """The same at every second row and column, counted from the first: [B, C, H, W] -> [B, C', H/2, W/2].

    With a cache (of the larger images) it is to be called for every row or pixel and gives None where it has no output.
    """

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor | None:  # type: ignore[override]
        if self.is_pending:
            self._initialize_from(lambda: self._strided(F.pad(x, self._padding)))
        if cache is None:
            return self._strided(F.pad(x, self._padding))
        window = cache.window(self, x, self.kernel_size, self.left)
        is_row = x.shape[3] == cache.width
        if cache.row % 2 or (cache.column % 2 and not is_row):
            return None
        return self._strided(window) if is_row else self._of_window(window, self.kernel())

    def _strided(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel(), self.bias, stride=2)


class WeightNormUpsample2d(WeightNormConv2d):
    """The transposed convolution of stride 2, [B, C, H, W] -> [B, C', 2H, 2W].

    The pixel at (i, j) spreads to rows 2i, 2i + 1 and, for "left", columns 2j, 2j + 1, for "around" with a kernel of
    width 3, columns 2j - 1 to 2j + 1: never to what lies before it, so order is kept. A row alone becomes two rows, a
    pixel alone its two by two pixels. Weights are [C', C, height, width] here too.

    Args:
        kernel_size: (2, 2) for "left", (2, 3) for "around".
    """

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        if self.is_pending:
            self._initialize_from(lambda: self._spread(x))
        return self._spread(x)

    def _spread(self, x: Tensor) -> Tensor:
        cut = self.kernel_size[1] - 2
        return F.conv_transpose2d(
            x, self.kernel().transpose(0, 1), self.bias, stride=2, padding=(0, cut), output_padding=(0, cut)
        )
