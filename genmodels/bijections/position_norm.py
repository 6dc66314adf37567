"""Flow++'s data-initialised normalisation of every single element."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genmodels.bijections.base import Bijection
from genmodels.networks.data_init import DataInitialized, standardization


class PositionNorm(DataInitialized, Bijection):
    """A scale and a shift for each channel of each position, set so that the first batch has mean 0 and variance 1.

        z = x * g + b,   log|det| = sum log g

    The official code's `Norm` (actnorm has one of each per channel). g is kept above 1e-10 there and here.

    Args:
        shape: of one x, (C, H, W).
    Shapes: x, z [B, *shape].
    """

    MIN_SCALE = 1e-10

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(*shape))
        self.bias = nn.Parameter(torch.zeros(*shape))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.is_pending:
            self._initialize_from(x)
        scale = self._positive_scale()
        return torch.addcmul(self.bias, x, scale), self._log_det(scale, x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        scale = self._positive_scale()
        return (z - self.bias) / scale, -self._log_det(scale, z)

    def _positive_scale(self) -> Tensor:
        return self.scale.clamp(min=self.MIN_SCALE)

    def _log_det(self, scale: Tensor, x: Tensor) -> Tensor:
        return scale.log().sum().expand(x.shape[0])

    def _initialize_from(self, x: Tensor) -> None:
        shift, log_scale = (s.view_as(self.bias) for s in standardization(x.flatten(1)))
        self.scale.copy_(log_scale.exp())
        self.bias.copy_(shift * log_scale.exp())
        self._done()
