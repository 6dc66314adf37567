"""The one abstraction of all flows: an invertible map with its log-determinant."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


def sum_per_sample(x: Tensor) -> Tensor:
    """Sum over everything but the batch. Shapes: [B, ...] -> [B]."""
    return x.sum(dim=tuple(range(1, x.dim())))  # no flatten: it would copy a channels-last tensor


class Bijection(nn.Module, ABC):
    """An invertible map in the direction of density estimation, z = f(x), as the literature writes it.

    Both directions return the log-determinant of what they did, in nats, so that for every input
    `inverse(forward(x)) == x` and the two log-determinants add up to zero.

    Shapes: x, z [B, ...], of one shape unless a subclass says otherwise; context [B, E] or None; log_det [B].
    """

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z = f(x) and log |det dz/dx|."""

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x = f^-1(z) and log |det dx/dz|."""
