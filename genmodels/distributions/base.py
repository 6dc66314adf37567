"""Base distributions of flows: densities of a whole latent tensor."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.bijections.base import sum_per_sample


class Base(nn.Module, ABC):
    """A fixed density of tensors of `shape`. Draws come in the dtype and on the device that the module is moved to."""

    like: Tensor

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.register_buffer("like", torch.empty(0), persistent=False)

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z), nats. Shapes: [B, *shape] -> [B]."""

    @abstractmethod
    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """`n` draws, [n, *shape]; temperature 1 is the density itself, and lower ones draw closer to its modes."""


class StandardNormal(Base):
    """N(0, I); a temperature multiplies the deviation."""

    def log_prob(self, z: Tensor) -> Tensor:
        return -0.5 * (sum_per_sample(z.square()) + math.log(2 * math.pi) * z[0].numel())

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        return temperature * torch.randn(n, *self.shape, dtype=self.like.dtype, device=self.like.device)


class StandardLogistic(Base):
    """Independent standard logistics: log p(z) = -softplus(z) - softplus(-z) (Dinh et al. 2015, NICE, Section 3.4).

    A temperature multiplies the scale.
    """

    def log_prob(self, z: Tensor) -> Tensor:
        return -sum_per_sample(F.softplus(z) + F.softplus(-z))

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        u = torch.rand(n, *self.shape, dtype=self.like.dtype, device=self.like.device)
        # rand includes 0, whose logit is minus infinity.
        return temperature * torch.logit(u, eps=torch.finfo(u.dtype).tiny)
