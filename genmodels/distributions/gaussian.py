"""Normal observations of vectors."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genmodels.distributions.likelihood import Likelihood
from genmodels.errors import UserError
from genmodels.networks.full_precision import full

_SMALLEST_NOISE = 1e-7  # the normal quantile of 0 would be infinite


class Gaussian(Likelihood):
    """x ~ N(mu, diag sigma^2) for vectors; params are mu and, unless `scale` fixes sigma, log sigma, [B, D or 2 D].

    Args:
        shape: (D,).
        levels: None.
        scale: sigma of every dimension; None: the network's.
    Raises:
        UserError: the data is not of vectors, or `scale` is not positive.
    """

    def __init__(self, shape: Sequence[int], levels: int | None, scale: float | None = None) -> None:
        if levels is not None or len(shape) != 1:
            raise UserError(
                f"model/likelihood=gaussian needs vectors, but data.shape={list(shape)} and data.levels={levels}; "
                "choose model/likelihood=bernoulli or discretized_logistic for images."
            )
        if scale is not None and not scale > 0:
            raise UserError(f"model.likelihood.scale must be above 0, got {scale}")
        super().__init__(shape, [shape[0] * (1 if scale else 2)], shape)
        self.scale = scale

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        mean, log_scale = self._split(params)
        return -0.5 * ((x - mean) * (-log_scale).exp()).square() - log_scale - 0.5 * math.log(2 * math.pi)

    def sample(self, params: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        mean, log_scale = self._split(params)
        u = noise.clamp(_SMALLEST_NOISE, 1 - _SMALLEST_NOISE)
        return mean + temperature * log_scale.exp() * torch.special.ndtri(u)

    def mean(self, params: Tensor) -> Tensor:
        return self._split(params)[0]

    def _split(self, params: Tensor) -> tuple[Tensor, Tensor]:
        params = full(params)
        if self.scale is not None:
            return params, torch.full_like(params, math.log(self.scale))
        mean, log_scale = params.chunk(2, dim=1)
        return mean, log_scale
