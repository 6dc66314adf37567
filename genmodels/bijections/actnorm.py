"""Actnorm (Kingma & Dhariwal 2018, Section 3.1)."""

import torch
from torch import Tensor, nn

from genmodels.bijections.base import Bijection
from genmodels.networks.data_init import DataInitialized, standardization


class ActNorm(DataInitialized, Bijection):
    """A shift and a scale per channel, set from the first batch so that each channel has mean 0 and variance 1.

        z = (x + b) * exp(3 logs),   log|det| = H * W * sum_c 3 logs_c

    Add, then scale, and the factor 3 on the log-scale, are the official code's (`tfops.actnorm`); the paper writes
    s * x + b. Initialisation is explicit, see `genmodels.networks.data_init`.

    Args:
        log_scale_factor: 3 in Glow's code, 1 in that of i-ResNet and Residual Flow.
        smallest_variance: a channel of less starts with the scale of this one: 0.2 in Residual Flow's code.
    Shapes: x, z [B, channels] or [B, channels, H, W].
    """

    def __init__(self, channels: int, log_scale_factor: float = 3.0, smallest_variance: float = 0.0) -> None:
        super().__init__()
        self.log_scale_factor = log_scale_factor
        self.smallest_variance = smallest_variance
        self.bias = nn.Parameter(torch.zeros(channels))
        self.logs = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.is_pending:
            self.initialize_from(x)
        bias, scale = (p.view(1, -1, *[1] * (x.dim() - 2)) for p in (self.bias, self.scale()))
        return (x + bias) * scale, self.log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        bias, scale = (p.view(1, -1, *[1] * (z.dim() - 2)) for p in (self.bias, self.scale()))
        return z / scale - bias, -self.log_det(z)

    def scale(self) -> Tensor:
        """exp(3 logs), [channels]."""
        return torch.exp(self.log_scale_factor * self.logs)

    def log_det(self, x: Tensor) -> Tensor:
        """log|det dz/dx| for inputs like x, [B]."""
        positions = x[0, 0].numel()
        return (positions * self.log_scale_sum()).expand(x.shape[0])

    def log_scale_sum(self) -> Tensor:
        """sum_c 3 logs_c, a scalar: the log-determinant at one position."""
        return self.log_scale_factor * self.logs.sum()

    def initialize_from(self, x: Tensor) -> None:
        """Set shift and scale so that every channel of x leaves with mean 0 and variance 1."""
        bias, log_scale = standardization(x, self.smallest_variance)
        self.bias.copy_(bias)
        self.logs.copy_(log_scale / self.log_scale_factor)
        self._done()
