"""Scalar invertible maps whose parameters a network computes: what couplings and autoregressive layers apply.

Each takes x and parameters h with `num_parameters` numbers for each element of x, stacked in blocks along dimension
1, and returns the result with the log-derivative of every element; the layer that uses it decides which elements
count.
"""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Elementwise(nn.Module, ABC):
    """z_i = f(x_i; h_i), increasing in x_i.

    Shapes: x, z, log-derivative [B, C, ...]; h [B, num_parameters * C, ...].
    """

    num_parameters: int

    @abstractmethod
    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """z and log dz/dx, element by element."""

    @abstractmethod
    def inverse(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """x and log dx/dz, element by element."""


class Additive(Elementwise):
    """z = x + h (Dinh et al. 2015, NICE, Section 3.2)."""

    num_parameters = 1

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return x + h, torch.zeros_like(x)

    def inverse(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return z - h, torch.zeros_like(z)


class _ScaledAfterShift(Elementwise):
    """z = (x + t) * exp(log_scale), with (t, log_scale) from h."""

    num_parameters = 2

    @abstractmethod
    def _log_scale(self, h: Tensor) -> Tensor: ...

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale = self._parameters_from(h, x)
        return (x + shift) * log_scale.exp(), log_scale

    def inverse(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale = self._parameters_from(h, z)
        return z * torch.exp(-log_scale) - shift, -log_scale

    def _parameters_from(self, h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        # A network under autocast hands over bfloat16; densities are computed in the data's precision.
        shift, raw = h.to(x.dtype).chunk(2, dim=1)
        return shift, self._log_scale(raw)


class SigmoidAffine(_ScaledAfterShift):
    """z = (x + t) * sigmoid(h + 2): Glow's coupling.

    Kingma & Dhariwal 2018, Table 1, with the official code's bounded scale in place of the paper's exp: a deep stack
    cannot overflow, and actnorm takes up the contraction at the start (sigmoid(2) = 0.88). Deviation from the
    official code: t and h are the two halves of the parameters, not every second channel (the same set of functions).
    """

    def _log_scale(self, h: Tensor) -> Tensor:
        return F.logsigmoid(h + 2.0)


class TanhAffine(_ScaledAfterShift):
    """z = (x + t) * exp(a * tanh(h)) with one learned scalar a: RealNVP's coupling.

    Dinh et al. 2017, Section 3.2 and 4.1; shift before scale as in the official code (the paper scales first).

    Args:
        scale: initial a; the official code starts checkerboard couplings at 0 and channel couplings at 1.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def _log_scale(self, h: Tensor) -> Tensor:
        return self.scale * torch.tanh(h)


class GaussianConditional(Elementwise):
    """z = (x - m) * exp(-v / 2) with h = (m, v), unbounded: MAF's parametrisation.

    Papamakarios et al. 2017, Equations 2 to 4 and official code: v is the log-variance of a Gaussian with mean m, and
    z its standard normal noise.
    """

    num_parameters = 2

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = h.to(x.dtype).chunk(2, dim=1)
        log_derivative = -0.5 * log_variance
        return (x - mean) * log_derivative.exp(), log_derivative

    def inverse(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = h.to(z.dtype).chunk(2, dim=1)
        log_derivative = 0.5 * log_variance
        return torch.addcmul(mean, z, log_derivative.exp()), log_derivative
