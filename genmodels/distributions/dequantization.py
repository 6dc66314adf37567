"""Dequantisation: integer pixels as a noisy observation of a continuous image.

A density p(v) on [0, 1)^D defines P(x) = integral of p over the cell of x. For noise u ~ q(u | x) in [0, 1)^D,

    log P(x) >= E_q [ log p(v) - log q(u | x) ] - D log levels,    v = (x + u) / levels

(Theis et al. 2016; Ho et al. 2019, Equation (11)), and exp of the bracket is an unbiased estimate of P(x).
"""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.bijections.base import Bijection, sum_per_sample
from genmodels.bijections.reversible import check_reversible, reversibly


class Dequantization(nn.Module, ABC):
    """Noise q(u | x) in the cell of each pixel.

    Args:
        levels: number of pixel values; x takes 0 .. levels - 1.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    @abstractmethod
    def forward(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """v = (x + u) / levels for a fresh u, and the log-weight -log q(u | x) - D log levels, nats.

        Shapes: x integer [B, ...] -> v [B, ...] of `dtype` in [0, 1], log-weight [B].
        """

    def centre(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """The middle of each pixel's cell: what a noise-free encoding uses. Shapes: [B, ...] -> [B, ...] in (0, 1)."""
        return (x.to(dtype) + 0.5) / self.levels

    def quantize(self, v: Tensor) -> Tensor:
        """The cell that v lies in, uint8; v outside [0, 1] (no data lies there) goes to the nearest cell."""
        return torch.floor(v * self.levels).clamp(0, self.levels - 1).to(torch.uint8)

    def _log_cell_volume(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        volume = -x[0].numel() * math.log(self.levels)
        return torch.full((x.shape[0],), volume, dtype=dtype, device=x.device)


class UniformDequantization(Dequantization):
    """q(u | x) uniform: log q = 0."""

    def forward(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        u = torch.rand(x.shape, dtype=dtype, device=x.device)
        return (x + u) / self.levels, self._log_cell_volume(x, dtype)


class VariationalDequantization(Dequantization):
    """q(u | x) a flow: u = sigmoid(f(eps; context(x))), eps ~ N(0, I) (Ho et al. 2019, Section 3.1, Equation (12)).

        log q(u | x) = log N(eps) - log|det df/deps| - sum log sigmoid'(f)

    It learns where in each cell the model has its mass, which closes part of the gap between the bound and log P.

    Args:
        levels: number of pixel values; x takes 0 .. levels - 1.
        flow: f, of the image's shape; its forward direction is used, f(eps, context).
        context: net(x / levels - 0.5) -> whatever f takes as its context.
        reversible: recompute f's activations in the backward pass instead of keeping them, see
            `genmodels.bijections.reversibly`.
    Raises:
        UserError: a reversible f without an exact inverse.
    """

    def __init__(self, levels: int, flow: Bijection, context: nn.Module, reversible: bool = False) -> None:
        super().__init__(levels)
        if reversible:
            check_reversible(flow, "model.dequantization.reversible")
        self.reversible = reversible
        self.flow = flow
        self.context = context

    def forward(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        image = x.to(dtype)
        eps = torch.randn_like(image)
        run = reversibly if self.reversible else Bijection.__call__
        logit, log_det = run(self.flow, eps, self.context(image / self.levels - 0.5))
        log_normal = -0.5 * sum_per_sample(eps.square() + math.log(2 * math.pi))
        log_q = log_normal - log_det + sum_per_sample(F.softplus(logit) + F.softplus(-logit))
        return (image + torch.sigmoid(logit)) / self.levels, self._log_cell_volume(x, dtype) - log_q
