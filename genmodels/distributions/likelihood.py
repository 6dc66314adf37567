"""What every distribution of data given a network's outputs offers: scored and drawn by one object."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from genmodels.bijections.base import sum_per_sample


class Likelihood(nn.Module, ABC):
    """p(x | params).

    Drawing is a deterministic function of uniform noise, so that different ways to sample one model can be fed the
    same noise and compared.

    Args:
        shape: of one x.
        params_shape: what a network has to give for one x.
        noise_shape: uniform numbers that one x takes.
    """

    def __init__(self, shape: Sequence[int], params_shape: Sequence[int], noise_shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.params_shape = tuple(params_shape)
        self.noise_shape = tuple(noise_shape)

    @property
    def protocol(self) -> Mapping[str, Any]:
        """What a figure made with it has to say, by name: where `log_prob` is not that of a distribution."""
        return {}

    @abstractmethod
    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """log p of the parts of x that are independent given params, nats; [B, ...], to be summed."""

    def of_draws(self, params: Tensor, x: Tensor) -> Tensor:
        """log p(x | params) of whole examples, each under K draws of its params: [K * B, ...] and [B, ...] -> [K, B].

        The first B params are those of the first draw.
        """
        draws = len(params) // len(x)
        return sum_per_sample(self.log_prob(params, x.repeat(draws, *[1] * (x.dim() - 1)))).view(draws, -1)

    @abstractmethod
    def sample(self, params: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """The x that `noise`, uniform in (0, 1), stands for; temperature 0 gives the likeliest one or the mean."""

    @abstractmethod
    def mean(self, params: Tensor) -> Tensor:
        """The expectation of x, [B, *shape] of floats."""
