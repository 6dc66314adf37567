"""The formulas of normal distributions with independent dimensions."""

import math

import torch
from torch import Tensor


def log_normal(noise: Tensor, log_scale: Tensor) -> Tensor:
    """log N(x; mu, diag sigma^2) of x = mu + sigma * noise. Shapes: [..., D] both -> [...], nats."""
    return -(0.5 * noise.square() + log_scale).sum(dim=-1) - 0.5 * math.log(2 * math.pi) * noise.shape[-1]


def log_normal_of_pairs(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """log N(x_m; mu_n, diag sigma_n^2) of all pairs, in float64. Shapes: x [M, D], the others [N, D] -> [M, N], nats.

    By one matrix product, -(x^2 / s^2 - 2 x mu / s^2 + mu^2 / s^2) / 2 - log s, summed over dimensions. In float32 the
    difference of these squares loses what a narrow distribution is about.
    """
    x, mean, log_scale = x.double(), mean.double(), log_scale.double()
    precision = (-2 * log_scale).exp()
    products = torch.cat((-0.5 * x.square(), x), dim=1) @ torch.cat((precision, mean * precision), dim=1).T
    constant = 0.5 * (mean.square() * precision).sum(dim=1) + log_scale.sum(dim=1)
    return products - constant - 0.5 * math.log(2 * math.pi) * x.shape[1]
