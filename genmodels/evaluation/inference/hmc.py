"""Hamiltonian Monte Carlo (Neal 2011, MCMC using Hamiltonian dynamics), for many chains at once."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

LogDensity = Callable[[Tensor], Tensor]  # z [N, Z] -> [N], nats but for a constant, each row on its own


class Point(NamedTuple):
    """Positions z [N, Z] with the log-density there, [N], and its gradient, [N, Z]."""

    z: Tensor
    log_density: Tensor
    gradient: Tensor


def at(log_density: LogDensity, z: Tensor) -> Point:
    """The point of each row of z."""
    z = z.detach().requires_grad_()
    with torch.enable_grad():
        value = log_density(z)
        (gradient,) = torch.autograd.grad(value.sum(), z)
    return Point(z.detach(), value.detach(), gradient)


def leapfrog(
    log_density: LogDensity, point: Point, momentum: Tensor, step_sizes: Tensor, steps: int
) -> tuple[Point, Tensor]:
    """Follow Hamilton's equations (Section 2.3): reversible, and it preserves volume.

    Args:
        point: where the chains stand.
        momentum: [N, Z], of unit mass.
        step_sizes: [N].
        steps: of each chain; they cost a gradient each.
    Returns: where they arrive, and with which momentum.
    """
    size = step_sizes[:, None]
    momentum = momentum + 0.5 * size * point.gradient
    for step in range(1, steps + 1):
        point = at(log_density, point.z + size * momentum)
        momentum = momentum + (size if step < steps else 0.5 * size) * point.gradient
    return point, momentum


def transition(log_density: LogDensity, z: Tensor, step_sizes: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """A move of each chain that leaves the density as it is: new momenta, a trajectory, acceptance by its energy.

    Shapes: z [N, Z], step_sizes [N] -> the new z [N, Z] and the probabilities of acceptance [N]. A trajectory that
    leaves the finite numbers is rejected.
    """
    start, momentum = at(log_density, z), torch.randn_like(z)
    end, last_momentum = leapfrog(log_density, start, momentum, step_sizes, steps)
    gain = end.log_density - start.log_density
    gain = gain + 0.5 * (momentum.square().sum(dim=1) - last_momentum.square().sum(dim=1))
    acceptance = gain.clamp(max=0).exp().nan_to_num(nan=0.0)
    accepted = torch.rand_like(acceptance) < acceptance
    return torch.where(accepted[:, None], end.z, z), acceptance
