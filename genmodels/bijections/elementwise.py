"""Scalar invertible maps whose parameters a network computes: what couplings and autoregressive layers apply.

Each takes x and parameters h with `num_parameters` numbers for each element of x, stacked in blocks along dimension
1, and returns the result with the log-derivative of every element; the layer that uses it decides which elements
count.
"""

from abc import ABC, abstractmethod

import torch
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
