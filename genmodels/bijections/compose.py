"""Bijections made of bijections: one after another, and the other way round."""

from collections.abc import Iterable, Sequence
from typing import cast

from torch import Tensor, nn

from genmodels.bijections.base import Bijection


class Compose(Bijection):
    """f = f_n o ... o f_1: the first of `bijections` meets the data first."""

    def __init__(self, bijections: Iterable[Bijection]) -> None:
        super().__init__()
        self.bijections = nn.ModuleList(bijections)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_det = x.new_zeros(x.shape[0])
        for bijection in self.bijections:
            x, step = bijection(x, context)
            log_det = log_det + step
        return x, log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_det = z.new_zeros(z.shape[0])
        for bijection in reversed(cast(Sequence[Bijection], self.bijections)):
            z, step = bijection.inverse(z, context)
            log_det = log_det + step
        return z, log_det


class Inverse(Bijection):
    """f^-1 as a bijection of its own: `Inverse(MAF layer)` is an IAF layer."""

    def __init__(self, bijection: Bijection) -> None:
        super().__init__()
        self.bijection = bijection

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.bijection.inverse(x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.bijection(z, context)
