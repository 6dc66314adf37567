"""The planar map (Rezende & Mohamed 2015, arXiv:1505.05770, Section 4.1 and Appendix A.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.linalg import vecdot

from genmodels.bijections.amortized import MapFamily
from genmodels.bijections.base import Bijection

_HALVINGS = 64  # of an interval of length 2|w'u|: below the rounding error of float64


class Planar(Bijection):
    """z' = z + u tanh(w'z + b): squeezes or stretches space across the plane w'z + b = 0 (Equation 10).

    u is not free: its component along w is moved so that w'u = m(w'v) = -1 + softplus(w'v) > -1 for the parameter v,
    which makes the map invertible (Appendix A.1). The log-determinant is log(1 + tanh'(a) w'u), a = w'z + b
    (Equations 11 and 12).

    `forward` is the paper's f, which has a closed form and leads from noise to data there: put it into an `Inverse`
    for a density. `inverse` solves a' = a + w'u tanh(a) for the scalar a by bisection and differentiates the solution
    by the implicit function theorem; it costs as much as some dozen forward maps.

    Shapes: [B, D].
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(features))
        self.b = nn.Parameter(torch.randn(()))
        self.v = nn.Parameter(0.1 * torch.randn(features))

    def constrained(self) -> tuple[Tensor, Tensor]:
        """u, [D], and 1 + w'u > 0, scalar, the latter without the rounding of the sum."""
        return _constrained(self.w, self.v)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return _forward(x, self.w, self.b, self.v)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return _inverse(z, self.w, self.b, self.v)


def _forward(x: Tensor, w: Tensor, b: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    u, slope = _constrained(w, v)
    bend = torch.tanh(vecdot(x, w) + b)
    return torch.addcmul(x, bend[:, None], u), _log_derivative(bend, slope)


def _inverse(z: Tensor, w: Tensor, b: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    u, slope = _constrained(w, v)
    target = vecdot(z, w) + b
    with torch.no_grad():
        root = _bisect(target, slope - 1)
        derivative = _log_derivative(torch.tanh(root), slope).exp()
    # A Newton step: it polishes the root, and its gradient is that of the implicit function.
    activation = root - (root + (slope - 1) * torch.tanh(root) - target) / derivative
    bend = torch.tanh(activation)
    return torch.addcmul(z, bend[:, None], u, value=-1), -_log_derivative(bend, slope)


PLANAR = MapFamily(_forward, _inverse, lambda features: ((features,), (), (features,)))
"""By the parameters w, b and v."""


def _constrained(w: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    along = vecdot(w, v)
    slope = F.softplus(along)
    move = (slope - 1 - along) / vecdot(w, w)
    return v + move[..., None] * w, slope


def _log_derivative(bend: Tensor, slope: Tensor) -> Tensor:
    """log(1 + (slope - 1)(1 - bend^2)), the sum taken as a mean of slope and 1, which cannot cancel."""
    return torch.log(torch.lerp(slope, torch.ones_like(slope), bend.square()))


def _bisect(target: Tensor, factor: Tensor) -> Tensor:
    """The a with a + factor * tanh(a) = target, increasing in a since factor > -1. Shapes: [B] -> [B]."""
    low, high = target - factor.abs(), target + factor.abs()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = middle + factor * torch.tanh(middle) > target
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return (low + high) / 2
