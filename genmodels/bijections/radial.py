"""The radial map (Rezende & Mohamed 2015, arXiv:1505.05770, Section 4.1 and Appendix A.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.bijections.amortized import MapFamily
from genmodels.bijections.base import Bijection


class Radial(Bijection):
    """z' = z + beta (z - c) / (alpha + r), r = |z - c|: pulls towards the centre c or away from it (Equation 14).

    alpha = exp(log_alpha) > 0, and beta = -alpha + softplus(raw) > -alpha makes the map invertible (Appendix A.2).
    With h = 1 / (alpha + r) the log-determinant is (D - 1) log(1 + beta h) + log(1 + beta h + beta h' r).

    `forward` is the paper's f, which leads from noise to data there: put it into an `Inverse` for a density. The
    inverse is as cheap: r solves r^2 + (alpha + beta - r') r - alpha r' = 0, where r' = |z' - c|.

    Shapes: [B, D].
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.randn(features))
        self.log_alpha = nn.Parameter(torch.zeros(()))
        self.raw = nn.Parameter(0.5 + 0.1 * torch.randn(()))  # softplus(0.54) = 1 = alpha: close to the identity

    def constrained(self) -> tuple[Tensor, Tensor]:
        """alpha > 0 and alpha + beta > 0, scalars."""
        return _constrained(self.log_alpha, self.raw)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return _forward(x, self.centre, self.log_alpha, self.raw)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return _inverse(z, self.centre, self.log_alpha, self.raw)


def _forward(x: Tensor, centre: Tensor, log_alpha: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
    alpha, total = _constrained(log_alpha, raw)
    offset = x - centre
    radius = torch.linalg.vector_norm(offset, dim=1)
    stretch = (total + radius) / (alpha + radius)
    return centre + stretch[:, None] * offset, _log_det(radius, alpha, total, x.shape[1])


def _inverse(z: Tensor, centre: Tensor, log_alpha: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
    alpha, total = _constrained(log_alpha, raw)
    offset = z - centre
    radius = _radius_before(torch.linalg.vector_norm(offset, dim=1), alpha, total)
    shrink = (alpha + radius) / (total + radius)
    return centre + shrink[:, None] * offset, -_log_det(radius, alpha, total, z.shape[1])


RADIAL = MapFamily(_forward, _inverse, lambda features: ((features,), (), ()))
"""By the parameters c, log alpha and raw, whose softplus is alpha + beta."""


def _constrained(log_alpha: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
    return log_alpha.exp(), F.softplus(raw)


def _log_det(radius: Tensor, alpha: Tensor, total: Tensor, features: int) -> Tensor:
    """Equation 14's, with both logarithms of quotients of positive sums, which cannot cancel; total = alpha + beta."""
    around = torch.log(total + radius) - torch.log(alpha + radius)
    along = torch.log(radius * (radius + 2 * alpha) + alpha * total) - 2 * torch.log(alpha + radius)
    return (features - 1) * around + along


def _radius_before(radius: Tensor, alpha: Tensor, total: Tensor) -> Tensor:
    """The positive root of r^2 + (total - radius) r - alpha radius = 0, by whichever formula adds equal signs."""
    middle = total - radius
    larger = (middle.abs() + torch.sqrt(middle.square() + 4 * alpha * radius)) / 2
    return torch.where(middle > 0, alpha * radius / larger, larger)
