"""Mixtures of Gaussians on the plane whose modes can be told apart, and so counted."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Modes:
    """A mixture of round Gaussians, all of the same weight and width.

    Attributes:
        centres: [K, D].
        deviation: of each Gaussian, in every direction.
    """

    centres: Tensor
    deviation: float


def ring(count: int = 8, radius: float = 2.0, deviation: float = 0.02) -> Modes:
    """Gaussians on a circle, the first one on the right."""
    angle = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    return Modes(radius * torch.stack((angle.cos(), angle.sin()), dim=1), deviation)


def grid(side: int = 5, spacing: float = 2.0, deviation: float = 0.05) -> Modes:
    """Gaussians on a square lattice about the origin."""
    axis = spacing * (torch.arange(side, dtype=torch.float64) - (side - 1) / 2)
    return Modes(torch.cartesian_prod(axis, axis), deviation)


MIXTURES = {"ring": ring(), "grid": grid()}
"""By name of the data: the ring of Metz et al. 2017 (Unrolled GAN), the grid of Lin et al. 2018 (PacGAN), recalled."""
