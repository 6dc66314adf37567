"""Dequantisation: integer pixels as a noisy observation of a continuous image.

A density p(v) on [0, 1)^D defines P(x) = integral of p over the cell of x. For noise u ~ q(u | x) in [0, 1)^D,

    log P(x) >= E_q [ log p(v) - log q(u | x) ] - D log levels,    v = (x + u) / levels

(Theis et al. 2016; Ho et al. 2019, Equation (11)), and exp of the bracket is an unbiased estimate of P(x).
"""

import math

import torch
from torch import Tensor, nn


class UniformDequantization(nn.Module):
    """q(u | x) uniform: log q = 0.

    Args:
        levels: number of pixel values; x takes 0 .. levels - 1.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """v = (x + u) / levels for a fresh u, and the log-weight -log q(u | x) - D log levels, nats.

        Shapes: x integer [B, ...] -> v [B, ...] of `dtype` in [0, 1], log-weight [B].
        """
        u = torch.rand(x.shape, dtype=dtype, device=x.device)
        return (x + u) / self.levels, self._log_cell_volume(x, dtype)

    def centre(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """The middle of each pixel's cell: what a noise-free encoding uses. Shapes: [B, ...] -> [B, ...] in (0, 1)."""
        return (x.to(dtype) + 0.5) / self.levels

    def quantize(self, v: Tensor) -> Tensor:
        """The cell that v lies in, uint8; v outside [0, 1] (no data lies there) goes to the nearest cell."""
        return torch.floor(v * self.levels).clamp(0, self.levels - 1).to(torch.uint8)

    def _log_cell_volume(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        volume = -x[0].numel() * math.log(self.levels)
        return torch.full((x.shape[0],), volume, dtype=dtype, device=x.device)
