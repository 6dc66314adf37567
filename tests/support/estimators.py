"""The mean and the spread of a stochastic gradient."""

from typing import NamedTuple

import torch
from torch import Tensor

from genmodels.models import VAE
from genmodels.objectives import Loss


class Measured(NamedTuple):
    """Of a gradient, all coordinates in one vector: its mean, the standard error of that, its variance in a call."""

    mean: Tensor
    error: Tensor
    variance: Tensor

    def agrees_with(self, other: Tensor) -> bool:
        """Within five standard errors in every coordinate; the last digits are those of float64."""
        return bool(((self.mean - other).abs() <= 5 * self.error + 1e-12).all())


def gradient(value: Tensor, part: torch.nn.Module) -> Tensor:
    """Of a scalar, with respect to all parameters of a part."""
    found = torch.autograd.grad(value, list(part.parameters()), retain_graph=True, allow_unused=True)
    pairs = zip(part.parameters(), found, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in pairs])


def measured(
    loss: Loss, model: VAE, x: Tensor, calls: int = 200, copies: int = 100, part: str | None = None
) -> Measured:
    """The gradient of the loss, in `calls` calls of which each sees every example so many times."""
    repeated, of = x.repeat(copies, 1), model.get_submodule(part) if part else model
    drawn = torch.stack([gradient(loss(model, repeated, None)[0], of) for _ in range(calls)])
    variance = drawn.var(dim=0)
    return Measured(drawn.mean(dim=0), (variance / calls).sqrt(), variance)
