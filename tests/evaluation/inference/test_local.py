"""The best of a family for each example, where it is known."""

import math

import pytest
import torch
from linear_gaussian import evidence, examples, infer_well, linear_gaussian, true_posterior
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from genmodels.evaluation.inference.local import log_weights, optimised
from genmodels.models import VAE


@pytest.fixture
def model() -> VAE:
    torch.manual_seed(0)
    return infer_well(linear_gaussian())


def best(model: VAE, x: Tensor) -> Tensor:
    """Of the diagonal normals: the true mean, and the diagonal of the true precision."""
    posterior = true_posterior(model, x)
    precision = posterior.precision_matrix.diagonal(dim1=1, dim2=2)
    return torch.cat((posterior.mean, -0.5 * precision.log()), dim=1)


def test_the_best_diagonal_normal_is_found(model: VAE) -> None:
    x = examples(model, 5)
    features = model.posterior_features(x)
    off = features.detach() + 0.3 * torch.randn_like(features)
    found = optimised(model, x, off, None, steps=300, samples=32)
    assert (best(model, x) - off).abs().max() > 0.3
    assert (best(model, x) - found).abs().max() < 0.05


def test_the_model_is_left_as_it_was(model: VAE) -> None:
    x = examples(model, 2)
    before = [value.clone() for value in model.parameters()]
    optimised(model, x, model.posterior_features(x), None, steps=2, samples=1)
    assert all(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))
    assert all(value.grad is None for value in model.parameters())


@torch.no_grad()
def test_weights_average_to_the_bound_and_to_the_evidence(model: VAE) -> None:
    x, n = examples(model, 4), 100_000
    found = log_weights(model, x, best(model, x), None, n)
    mean, log_scale = best(model, x).chunk(2, dim=1)
    q = MultivariateNormal(mean, torch.diag_embed((2 * log_scale).exp()))
    bound = evidence(model, x) - kl_divergence(q, true_posterior(model, x))
    assert ((found.mean(dim=0) - bound).abs() < 5 * found.std(dim=0) / n**0.5).all()
    assert torch.allclose(found.logsumexp(dim=0) - math.log(n), evidence(model, x), atol=0.02)
