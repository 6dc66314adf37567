"""The four energies on the plane of Rezende & Mohamed 2015 (arXiv:1505.05770), Table 1: densities exp(-U(z)) / Z.

U2, U3 and U4 go on along z1 for ever, so that exp(-U) has no finite integral; the paper shows them for |z1| <= 4 and
says no more. Here a wall 0.5 ((|z1| - 4) / 0.4)^2 is added outside, and nothing inside.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

BOX = 6.5  # beyond it, in either coordinate, lies less than a billionth of the mass of any of the four

_SIDE = 4.0
_WALL_SCALE = 0.4
_GRID_POINTS = 651  # a step of 0.02


def _wave(z1: Tensor) -> Tensor:
    """w1"""
    return torch.sin(math.pi / 2 * z1)


def _square(difference: Tensor, scale: float) -> Tensor:
    return 0.5 * (difference / scale).square()


def _wall(z1: Tensor) -> Tensor:
    return _square(F.relu(z1.abs() - _SIDE), _WALL_SCALE)


def u1(z: Tensor) -> Tensor:
    """A ring of radius 2 of which two arcs, left and right, are left."""
    ring = _square(torch.linalg.vector_norm(z, dim=1) - 2, 0.4)
    return ring - torch.logaddexp(-_square(z[:, 0] - 2, 0.6), -_square(z[:, 0] + 2, 0.6))


def u2(z: Tensor) -> Tensor:
    """A sine wave."""
    z1, z2 = z.unbind(dim=1)
    return _square(z2 - _wave(z1), 0.4) + _wall(z1)


def u3(z: Tensor) -> Tensor:
    """A sine wave that parts and comes together again (w2)."""
    z1, z2 = z.unbind(dim=1)
    height = z2 - _wave(z1)
    split = 3 * torch.exp(-_square(z1 - 1, 0.6))
    return _wall(z1) - torch.logaddexp(-_square(height, 0.35), -_square(height + split, 0.35))


def u4(z: Tensor) -> Tensor:
    """A sine wave that forks (w3)."""
    z1, z2 = z.unbind(dim=1)
    height = z2 - _wave(z1)
    split = 3 * torch.sigmoid((z1 - 1) / 0.3)
    return _wall(z1) - torch.logaddexp(-_square(height, 0.4), -_square(height + split, 0.35))


ENERGIES: dict[str, Callable[[Tensor], Tensor]] = {"u1": u1, "u2": u2, "u3": u3, "u4": u4}
"""By name: U(z) in nats, [B, 2] -> [B]."""


@lru_cache
def log_normalizer(name: str) -> float:
    """log Z, nats, of an energy: the trapezoidal rule over the box, exact to some seven digits."""
    axis = torch.linspace(-BOX, BOX, _GRID_POINTS, dtype=torch.float64)
    energy = ENERGIES[name](torch.cartesian_prod(axis, axis))
    return float(torch.logsumexp(-energy, dim=0)) + 2 * math.log(float(axis[1] - axis[0]))
