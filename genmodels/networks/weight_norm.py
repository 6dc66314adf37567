"""Weight normalisation (Salimans & Kingma 2016), initialised from data as in PixelCNN++."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.causal_conv import Cache, CausalConv2d
from genmodels.networks.data_init import DataInitialized
from genmodels.networks.eval_cache import CachesInEval


class WeightNormalized(CachesInEval, DataInitialized):
    """A layer with the kernel g V / |V|, the norm taken for each output channel.

    V starts as N(0, 0.05), g as 1, the bias as 0. The first batch sets g and bias so that each channel of the output
    has mean 0 and deviation `init_scale` (official code of PixelCNN++, `conv2d` and, for kernel_size (1, 1), `nin`).
    Deviation: the official code blows a channel that is constant on the first batch up by 10^5; here its g stays 1,
    times `init_scale`.

    A subclass makes `weight` (V, output channels first) and `bias` and then calls `_start`; where it `is_pending`, its
    forward pass calls `_initialize_from`.
    """

    weight: nn.Parameter
    bias: nn.Parameter

    def kernel(self) -> Tensor:
        """g V / |V|, of the shape of `weight`."""
        return self.cached(self._normalized, self.weight, self.scale)

    def _start(self, init_scale: float) -> None:
        self.init_scale = init_scale
        self.scale = nn.Parameter(torch.ones(len(self.weight)))
        nn.init.normal_(self.weight, std=0.05)
        nn.init.zeros_(self.bias)

    def _normalized(self) -> Tensor:
        # What torch.nn.utils.parametrizations.weight_norm computes: forward and backward are one kernel each.
        return torch._weight_norm(self.weight, self.scale.view(-1, *[1] * (self.weight.dim() - 1)))

    def _initialize_from(self, run: Callable[[], Tensor]) -> None:
        """Set scale and bias by the layer's own output, which `run` gives, [B, channels, ...]."""
        self.scale.fill_(1.0)
        self.bias.zero_()
        out = run()
        variance, mean = torch.var_mean(out, dim=[0, *range(2, out.dim())], correction=0)
        gain = torch.where(variance < 1e-8, 1.0, torch.rsqrt(variance + 1e-10))
        self.scale.copy_(self.init_scale * gain)
        self.bias.copy_(-mean * self.scale)
        self._done()


class WeightNormConv2d(WeightNormalized, CausalConv2d):
    """A causal convolution with weight normalisation.

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
        self._start(init_scale)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        if cache is not None:
            return super().forward(x, cache)
        return self._cut(self.uncut(x), x)

    def uncut(self, x: Tensor) -> Tensor:
        """The output for whole images, with rows below and columns to the right that are of no use.

        Padding on all sides and cutting off costs less than a padded copy of the input.
        """
        if self.is_pending:
            self._initialize_from(lambda: self._cut(self._convolved(x), x))
        return self._convolved(x)

    def _convolved(self, x: Tensor) -> Tensor:
        if self.kernel_size == (1, 1):
            return pointwise(x, self.kernel(), self.bias)
        left, right, above, _ = self._padding
        return F.conv2d(x, self.kernel(), self.bias, padding=(above, max(left, right)))

    @staticmethod
    def _cut(out: Tensor, like: Tensor) -> Tensor:
        right, below = like.shape[3] - out.shape[3], like.shape[2] - out.shape[2]
        return F.pad(out, (0, right, 0, below)) if right or below else out


class WeightNormPointwise(WeightNormConv2d):
    """The 1x1 convolution of several maps side by side, without concatenating them."""

    def forward(self, *maps: Tensor) -> Tensor:  # type: ignore[override]
        if self.is_pending:
            self._initialize_from(lambda: self._sum(maps))
        return self._sum(maps)

    def _sum(self, maps: tuple[Tensor, ...]) -> Tensor:
        kernels = self.kernel().split([x.shape[1] for x in maps], dim=1)
        out = pointwise(maps[0], kernels[0], self.bias)
        for x, kernel in zip(maps[1:], kernels[1:], strict=True):
            out = out + pointwise(x, kernel)
        return out


def pointwise(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1x1 convolution, [B, C, H, W] -> [B, C', H, W], in the layout of x."""
    if not x.is_contiguous(memory_format=torch.channels_last):
        return F.conv2d(x, kernel, bias)
    # Torch's 1x1 convolution of small batches is slower on one thread and leaves this layout.
    return F.linear(x.permute(0, 2, 3, 1), kernel.flatten(1), bias).permute(0, 3, 1, 2)
