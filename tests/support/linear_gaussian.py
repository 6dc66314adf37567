"""A VAE whose decoder is linear and whose noise is normal: evidence and posterior are known in closed form.

p(z) = N(0, I),  p(x | z) = N(W z + b, s^2 I):   p(x) = N(b, W W' + s^2 I),
p(z | x) = N(S W'(x - b) / s^2, S),  S = (I + W'W / s^2)^-1
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from genmodels.distributions import Base, Gaussian, StandardNormal
from genmodels.models import VAE, Diagonal, Networks, Posterior

DATA, LATENTS, SCALE = 5, 3, 0.7


class LinearNetworks(Networks):
    """Encoder and decoder without a hidden layer."""

    def encoder(self, shape: Sequence[int], num_features: int, context_features: int) -> nn.Module:
        return _Linear(shape[0] + context_features, num_features)

    def decoder(self, num_latents: int, shape: Sequence[int], context_features: int) -> nn.Module:
        return _Linear(num_latents + context_features, shape[0])


class _Linear(nn.Linear):
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(x if context is None else torch.cat((x, context), dim=1))


def linear_gaussian(posterior: Posterior | None = None, prior: Base | None = None, **more: Any) -> VAE:
    """In float64, on vectors of 5 numbers with 3 latents; all weights drawn anew, q diagonal normal unless given."""
    posterior = posterior or Diagonal(LATENTS)
    prior = prior or StandardNormal([LATENTS])
    model = VAE([DATA], None, LinearNetworks(), posterior, prior, Gaussian([DATA], None, SCALE), **more)
    return model.double()


def evidence(model: VAE, x: Tensor) -> Tensor:
    """log p(x), [B] nats, of a model with the standard normal prior."""
    weight, bias = model.decoder.weight, model.decoder.bias
    covariance = weight @ weight.T + SCALE**2 * torch.eye(DATA, dtype=weight.dtype)
    return MultivariateNormal(bias, covariance).log_prob(x)


def true_posterior(model: VAE, x: Tensor) -> MultivariateNormal:
    """p(z | x), batch [B]."""
    weight, bias = model.decoder.weight, model.decoder.bias
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / SCALE**2
    mean = torch.linalg.solve(precision, weight.T @ (x - bias).T / SCALE**2).T
    return MultivariateNormal(mean, precision_matrix=precision.expand(len(x), -1, -1))


def examples(model: VAE, n: int) -> Tensor:
    """Draws of the model itself, [n, 5]."""
    return model.sample(n)


@torch.no_grad()
def infer_well(model: VAE, scale: float = 0.8) -> VAE:
    """Set the encoder of a diagonal q to the true posterior's mean and to a deviation that covers it."""
    weight, bias = model.decoder.weight, model.decoder.bias
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / SCALE**2
    to_mean = torch.linalg.solve(precision, weight.T / SCALE**2)
    model.encoder.weight.zero_()[: len(to_mean)] = to_mean
    model.encoder.bias.fill_(math.log(scale))[: len(to_mean)] = -to_mean @ bias
    return model
