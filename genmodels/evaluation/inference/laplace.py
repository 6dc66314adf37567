"""Laplace's approximation: an integral from the maximum of its integrand and the curvature there."""

import math

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.inference.hmc import LogDensity

_ITERATIONS = 100
_HALVINGS = 20
_DECREMENT = 1e-9  # nats: by how much a quadratic model says that the maximum is still missed
_CURVATURE = 1e-3  # the least that a Newton step believes in


def log_integral(log_density: LogDensity, start: Tensor) -> Tensor:
    """log f(z*) + Z/2 log 2 pi - 1/2 log det(-H) for each row, exact where log f is quadratic.

    Args:
        log_density: log f, twice differentiable; it should be in float64.
        start: where the search for the maximum z* begins, [B, Z]; it finds the one above.
    Returns: [B].
    Raises:
        UserError: what is found is no maximum.
    """
    z = maximum(log_density, start)
    value, _, hessian = _derivatives(log_density, z)
    curvature = torch.linalg.eigvalsh(-hessian)
    flat = int((curvature[:, 0] <= 0).sum())
    if flat:
        raise UserError(
            f"the Laplace approximation needs a strict maximum of log p(x, z), and none was found for {flat} of "
            f"{len(z)} examples: measure ais instead"
        )
    return value + 0.5 * (z.shape[1] * math.log(2 * math.pi) - curvature.log().sum(dim=1))


def maximum(log_density: LogDensity, start: Tensor) -> Tensor:
    """The maximum above each row of `start`, [B, Z], by Newton's method with a line search.

    Steps use the absolute curvature (Dauphin et al. 2014), so that they always lead uphill.
    """
    z = start.detach()
    for _ in range(_ITERATIONS):
        value, gradient, hessian = _derivatives(log_density, z)
        curvature, axes = torch.linalg.eigh(hessian)
        along = (axes.mT @ gradient[..., None])[..., 0] / curvature.abs().clamp(min=_CURVATURE)
        step = (axes @ along[..., None])[..., 0]
        slope = (step * gradient).sum(dim=1)
        if (slope < _DECREMENT).all():
            break
        z = _uphill(log_density, z, step, value, slope)
    return z


def _uphill(log_density: LogDensity, z: Tensor, step: Tensor, value: Tensor, slope: Tensor) -> Tensor:
    """Halve each row's step until it gains something in proportion to it (Armijo); a row that gains nothing stays."""
    size = torch.ones_like(value)
    with torch.no_grad():
        for _ in range(_HALVINGS):
            short = ~(log_density(z + size[:, None] * step) >= value + 1e-4 * size * slope)
            if not short.any():
                break
            size = torch.where(short, size / 2, size)
    return z + torch.where(short, 0.0, size)[:, None] * step


def _derivatives(log_density: LogDensity, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value [B], gradient [B, Z] and Hessian [B, Z, Z] of each row; rows do not see each other."""
    z = z.detach().requires_grad_()
    with torch.enable_grad():
        value = log_density(z)
        (gradient,) = torch.autograd.grad(value.sum(), z, create_graph=True)
        rows = [torch.autograd.grad(part.sum(), z, retain_graph=True)[0] for part in gradient.unbind(dim=1)]
    return value.detach(), gradient.detach(), torch.stack(rows, dim=1)
