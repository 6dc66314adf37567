"""IWAE's log-weights of one and of two layers by its official code (github.com/yburda/iwae, iwae.py), in float64."""

import math

import pytest
import torch
from torch import Tensor

from genmodels.distributions import Bernoulli, StandardNormal
from genmodels.models import VAE, Diagonal, MLPNetworks, TwoLayerVAE
from genmodels.objectives import IWAE
from golden.fixed import filled, images

SHAPE, Z1, Z2, K = (1, 2, 3), 4, 3, 5


def _normal_samplers_log_likelihood(sample: Tensor, mean: Tensor, sigma: Tensor) -> Tensor:
    """`UnitGaussianSampler` and `GaussianSampler.log_likelihood_samplesImean_sigma`."""
    units = sample.shape[-1]
    squares = (((sample - mean) / sigma) ** 2).sum(dim=-1)
    return -units / 2 * math.log(2 * math.pi) - 0.5 * squares - torch.log(sigma).sum(dim=-1)


def _network(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """Two hidden layers of tanh, the last linear."""
    for layer in (0, 2):
        x = torch.tanh(x @ w[f"{name}.{layer}.weight"].T + w[f"{name}.{layer}.bias"])
    return x @ w[f"{name}.4.weight"].T + w[f"{name}.4.bias"]


def _gaussian(w: dict[str, Tensor], name: str, x: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_sigma = _network(w, name, x).chunk(2, dim=-1)
    return mean, torch.exp(log_sigma)


def _bernoulli(w: dict[str, Tensor], name: str, h: Tensor, x: Tensor) -> Tensor:
    p = torch.sigmoid(_network(w, name, h))
    return (x * torch.log(p) + (1 - x) * torch.log(1 - p)).sum(dim=-1)


@pytest.fixture
def x() -> Tensor:
    return images(SHAPE, 2, count=4)


def test_one_layer(x: Tensor) -> None:
    model = filled(VAE(SHAPE, 2, MLPNetworks(6), Diagonal(Z1), StandardNormal([Z1]), Bernoulli(SHAPE, 2)))
    w, data = model.state_dict(), x.flatten(1).double().repeat(K, 1)
    torch.manual_seed(1)
    found = model.terms(x, samples=K)
    torch.manual_seed(1)
    mean, sigma = _gaussian(w, "encoder.net.layers", data)
    h1 = mean + sigma * torch.randn(K * 4, Z1, dtype=torch.double)
    log_p = _bernoulli(w, "decoder.net.layers", h1, data)
    log_p = log_p + _normal_samplers_log_likelihood(h1, torch.zeros(()).double(), torch.ones(Z1).double())
    log_w = (log_p - _normal_samplers_log_likelihood(h1, mean, sigma)).view(K, 4)
    assert torch.allclose(found.log_weights, log_w, rtol=0, atol=1e-10)


def test_two_layers(x: Tensor) -> None:
    parts = MLPNetworks(6), Diagonal(Z2), StandardNormal([Z2]), Bernoulli(SHAPE, 2)
    model = filled(TwoLayerVAE(SHAPE, 2, *parts, num_latents=Z1, width=5))
    w, data = model.state_dict(), x.flatten(1).double().repeat(K, 1)
    torch.manual_seed(1)
    found = model.terms(x, samples=K)
    torch.manual_seed(1)
    q1 = _gaussian(w, "q1.net.net.layers", data)
    h1 = q1[0] + q1[1] * torch.randn(K * 4, Z1, dtype=torch.double)
    q2 = _gaussian(w, "q2.net.layers", h1)
    h2 = q2[0] + q2[1] * torch.randn(K * 4, Z2, dtype=torch.double)
    log_q = _normal_samplers_log_likelihood(h1, *q1) + _normal_samplers_log_likelihood(h2, *q2)
    log_p = _normal_samplers_log_likelihood(h2, torch.zeros(()).double(), torch.ones(Z2).double())
    log_p = log_p + _normal_samplers_log_likelihood(h1, *_gaussian(w, "p1.net.layers", h2))
    log_w = (log_p + _bernoulli(w, "decoder.net.layers", h1, data) - log_q).view(K, 4)
    assert torch.allclose(found.log_weights, log_w, rtol=0, atol=1e-10)
    assert torch.allclose(found.log_posterior, log_q.view(K, 4), rtol=0, atol=1e-10)


def test_two_layers_are_trained_by_the_normalised_weights(x: Tensor) -> None:
    """The gradient of the code: of sum_k w_k log w_k with w constant and normalised over the draws."""
    parts = MLPNetworks(6), Diagonal(Z2), StandardNormal([Z2]), Bernoulli(SHAPE, 2)
    model = filled(TwoLayerVAE(SHAPE, 2, *parts, num_latents=Z1, width=5))
    torch.manual_seed(1)
    loss, _ = IWAE(samples=K)(model, x, None)
    found = torch.autograd.grad(loss, list(model.parameters()))
    torch.manual_seed(1)
    log_w = model.terms(x, samples=K).log_weights
    ws = torch.exp(log_w.detach() - log_w.detach().max(dim=0).values)
    normalised = ws / ws.sum(dim=0)
    bits = 4 * math.prod(SHAPE) * math.log(2)
    expected = torch.autograd.grad(-(normalised * log_w).sum() / bits, list(model.parameters()))
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-10)
