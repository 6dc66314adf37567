"""Laplace's approximation against integrals that are known."""

import math

import pytest
import torch
from linear_gaussian import evidence, examples, linear_gaussian, true_posterior
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.inference.laplace import log_integral, maximum


def test_a_linear_decoders_evidence_is_exact() -> None:
    torch.manual_seed(0)
    model = linear_gaussian()
    x = examples(model, 7)
    found = log_integral(lambda z: model.log_joint(x, z), torch.randn(7, 3).double())
    assert torch.allclose(found, evidence(model, x), atol=1e-10)


def test_the_maximum_is_the_true_posteriors_mean() -> None:
    torch.manual_seed(0)
    model = linear_gaussian()
    x = examples(model, 7)
    found = maximum(lambda z: model.log_joint(x, z), 10 * torch.randn(7, 3).double())
    assert torch.allclose(found, true_posterior(model, x).mean, atol=1e-8)


def test_of_the_gamma_function_it_is_stirlings_formula() -> None:
    n = torch.tensor([3.0, 10.0, 30.0], dtype=torch.double)
    found = log_integral(lambda z: n * z[:, 0] - z[:, 0].exp(), torch.zeros(3, 1).double())  # x = exp z
    assert torch.allclose(found, n * n.log() - n + 0.5 * torch.log(2 * math.pi / n))
    assert torch.allclose(found, torch.lgamma(n), rtol=0.05)


def test_the_search_climbs_where_the_curvature_is_of_the_wrong_sign() -> None:
    def two_bells(z: Tensor) -> Tensor:
        return -(z.square().sum(dim=1) - 1).square() - 0.1 * ((z[:, 0] - 1).square() + z[:, 1].square())

    found = maximum(two_bells, torch.tensor([[0.01, 0.02], [3.0, 0.01]], dtype=torch.double))
    assert torch.allclose(found, torch.tensor([[1.0, 0.0], [1.0, 0.0]]).double(), atol=1e-4)


def test_where_there_is_no_maximum_a_sentence_says_so() -> None:
    with pytest.raises(UserError, match=r"needs a strict maximum .* none was found for 1 of 2 examples"):
        log_integral(lambda z: torch.tensor([-1.0, 1.0]) * z.square().sum(dim=1), torch.ones(2, 2).double())
