"""Smooth activations whose slope is never above 1, with that slope as a function of its own."""

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Factor = Tensor | float


class SlopeOne(nn.Module, ABC):
    """phi(x) = outer * f(inner * x) with |phi'| <= 1, in three parts: the factors can be moved into linear maps."""

    def forward(self, x: Tensor) -> Tensor:
        inner, outer = self.factors()
        return outer * self.f(inner * x)

    @abstractmethod
    def factors(self) -> tuple[Factor, Factor]:
        """inner, outer."""

    @abstractmethod
    def f(self, h: Tensor) -> Tensor:
        """f, element by element."""

    @abstractmethod
    def slope(self, h: Tensor) -> Tensor:
        """f', element by element; can be differentiated once."""


class LipSwish(SlopeOne):
    """x sigmoid(b x) / 1.1,  b = softplus(beta) > 0 learned, beta = 0.5 at first.

    Chen et al. 2019 (Residual Flows), Section 3.3. Swish has slopes up to 1.0998 whatever b is. Unlike that of ELU, the
    second derivative does not vanish where the first is near 1, so that there is a gradient to go up to it by.
    """

    LARGEST_SLOPE = 1.1

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.tensor([0.5]))

    def factors(self) -> tuple[Factor, Factor]:
        sharpness = F.softplus(self.beta)
        return sharpness, 1.0 / (self.LARGEST_SLOPE * sharpness)

    def f(self, h: Tensor) -> Tensor:
        return F.silu(h)

    def slope(self, h: Tensor) -> Tensor:
        slope: Tensor = _SwishSlope.apply(h)
        return slope


class ELU(SlopeOne):
    """x for x > 0, exp(x) - 1 below (Clevert et al. 2016)."""

    def factors(self) -> tuple[Factor, Factor]:
        return 1.0, 1.0

    def f(self, h: Tensor) -> Tensor:
        return F.elu(h)

    def slope(self, h: Tensor) -> Tensor:
        return h.clamp(max=0.0).exp()


class _SwishSlope(torch.autograd.Function):
    """s (1 + h (1 - s)) and s (1 - s) (2 + h (1 - 2 s)), s = sigmoid(h), in fewer passes than autograd would take."""

    @staticmethod
    def forward(ctx: Any, h: Tensor) -> Tensor:
        s = torch.sigmoid(h)
        rest = 1.0 - s
        ctx.save_for_backward(h, s)
        return (rest.mul_(h)).add_(1.0).mul_(s)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        h, s = ctx.saved_tensors
        bend = (1.0 - 2.0 * s).mul_(h).add_(2.0)
        return bend.mul_(s - s * s).mul_(gradient)
