"""The densities that the points of `toy2d` are drawn from: what no model of them can beat.

Most are mixtures over the hidden numbers of their generators (places on a curve), by a quadrature finer than the noise.
Over test points the mean of -log p is the least that can be expected of a model, up to its standard error.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from genmodels.distributions.modes import MIXTURES, Modes

_ROWS = 1000  # points at a time, against thousands of places each


def log_density(name: str, x: Tensor) -> Tensor:
    """log p(x) of the set of that name. Shapes: [N, 2] -> float64 [N], nats."""
    return torch.cat([_LOG_DENSITIES[name](part.double()) for part in x.split(_ROWS)])


def _of_centres(x: Tensor, centres: Tensor, deviation: float) -> Tensor:
    """Round Gaussians of one width, all equally likely. Shapes: x [N, 2], centres [K, 2] -> [N]."""
    distance = torch.cdist(x, centres, compute_mode="donot_use_mm_for_euclid_dist") / deviation
    constant = math.log(2 * math.pi * deviation**2 * len(centres))
    return (-0.5 * distance.square()).logsumexp(dim=1) - constant


def _midpoints(count: int) -> Tensor:
    """Of so many equal parts of [0, 1]."""
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


def _on_circle(angle: Tensor) -> Tensor:
    return torch.stack((angle.cos(), angle.sin()), dim=1)


def _moons(x: Tensor) -> Tensor:
    upper = _on_circle(math.pi * _midpoints(1000))
    lower = torch.tensor([1.0, 0.5]) - upper
    return _of_centres(x, 2 * torch.cat((upper, lower)) + torch.tensor([-1.0, -0.2]), 0.2)


def _circles(x: Tensor) -> Tensor:
    circle = 3 * _on_circle(2 * math.pi * _midpoints(1000))
    return _of_centres(x, torch.cat((circle, 0.5 * circle)), 0.24)


def _swissroll(x: Tensor) -> Tensor:
    angle = 1.5 * math.pi * (1 + 2 * _midpoints(2000))
    return _of_centres(x, _on_circle(angle) * angle[:, None] / 5, 0.2)


def _eight_gaussians(x: Tensor) -> Tensor:
    centres = 4 * _on_circle(math.pi / 4 * torch.arange(8, dtype=torch.float64))
    return _of_centres(x, centres / 1.414, 0.5 / 1.414)


def _two_spirals(x: Tensor) -> Tensor:
    """Along the arms; across them a uniform square with Gaussian noise, whose density is a difference of two erf."""
    deviation, half = 0.1, 1 / 12
    angle = 3 * math.pi * _midpoints(500).sqrt()
    centres = torch.stack((-angle.cos(), angle.sin()), dim=1) * angle[:, None] / 3 + half
    distance = (x[:, None] - torch.cat((centres, -centres))).abs()  # not negative: the difference keeps its digits
    side = torch.special.ndtr((half - distance) / deviation) - torch.special.ndtr((-half - distance) / deviation)
    return (side / (2 * half)).prod(dim=2).mean(dim=1).log()


def _checkerboard(x: Tensor) -> Tensor:
    """1/32 on the dark fields, and nought elsewhere."""
    column, row = (x / 2).unbind(dim=1)
    # Rows begin at -2, -1, 0 or 1: -2 and 0 below an even column, -1 and 1 below an odd one.
    dark = (torch.floor(row) - torch.floor(column)) % 2 == 0
    inside = (x.abs() <= 4).all(dim=1)
    return torch.where(dark & inside, x.new_tensor(-math.log(32)), -math.inf)


def _pinwheel(x: Tensor) -> Tensor:
    """By change of variables, from all the (radial, tangential) that some blade takes to x.

    Blade k turns them by -(2 pi k / 5 + exp(radial) / 4) and doubles them, which leaves the length known and the angle
    to be found: between which of 2,000 angles all round the blades' turns are met.
    """
    count = 2000
    turn = 2 * math.pi * torch.linspace(0, 1, count + 1, dtype=torch.float64)
    length = torch.linalg.vector_norm(x / 2, dim=1, keepdim=True)
    direction = torch.atan2(x[:, 1:], x[:, :1])
    radial, tangential = length * turn.cos(), length * turn.sin()
    residual = (turn - direction - 0.25 * radial.exp()) * (5 / (2 * math.pi))  # a whole number at a solution
    whole = residual.floor()
    crosses = (whole[:, 1:] - whole[:, :-1]).abs()  # more than one: so many blades at once
    log_p = -0.5 * (((radial - 1) / 0.3).square() + (tangential / 0.1).square()) - math.log(2 * math.pi * 0.3 * 0.1)
    stretched = 4 * (1 + 0.25 * radial.exp() * tangential).abs().clamp(min=1e-12)
    log_p = log_p - stretched.log() - math.log(5)
    middle = torch.logaddexp(log_p[:, 1:], log_p[:, :-1]) - math.log(2)
    return (middle + crosses.log()).logsumexp(dim=1)


def _mixture(modes: Modes, x: Tensor) -> Tensor:
    return _of_centres(x, modes.centres, modes.deviation)


_LOG_DENSITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "moons": _moons,
    "circles": _circles,
    "two_spirals": _two_spirals,
    "checkerboard": _checkerboard,
    "eight_gaussians": _eight_gaussians,
    "pinwheel": _pinwheel,
    "swissroll": _swissroll,
    **{name: partial(_mixture, modes) for name, modes in MIXTURES.items()},
}
