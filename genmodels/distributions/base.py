"""Base distributions of flows: densities of a whole latent tensor."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.bijections.base import sum_per_sample


class Base(nn.Module, ABC):
    """A fixed density of tensors of `shape`, independent over elements."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z), nats. Shapes: [B, *shape] -> [B]."""

    @abstractmethod
    def sample(self, n: int, like: Tensor) -> Tensor:
        """`n` draws, [n, *shape], with the dtype and device of `like`."""


class StandardNormal(Base):
    """N(0, I)."""

    def log_prob(self, z: Tensor) -> Tensor:
        return -0.5 * (sum_per_sample(z.square()) + math.log(2 * math.pi) * z[0].numel())

    def sample(self, n: int, like: Tensor) -> Tensor:
        return torch.randn(n, *self.shape, dtype=like.dtype, device=like.device)


class StandardLogistic(Base):
    """Independent standard logistics: log p(z) = -softplus(z) - softplus(-z) (Dinh et al. 2015, NICE, Section 3.4)."""

    def log_prob(self, z: Tensor) -> Tensor:
        return -sum_per_sample(F.softplus(z) + F.softplus(-z))

    def sample(self, n: int, like: Tensor) -> Tensor:
        u = torch.rand(n, *self.shape, dtype=like.dtype, device=like.device)
        # rand includes 0, whose logit is minus infinity.
        return torch.logit(u, eps=torch.finfo(like.dtype).tiny)
