"""Figures of inference on a model whose evidence and posterior are known."""

import math
from typing import Any

import pytest
import torch
from linear_gaussian import evidence, examples, infer_well, linear_gaussian, true_posterior
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from genmodels.errors import UserError
from genmodels.evaluation.metrics import METRICS, Figure, Trained
from genmodels.models import VAE
from genmodels.objectives import ELBO


@pytest.fixture
def model() -> VAE:
    torch.manual_seed(0)
    return infer_well(linear_gaussian(), scale=1.2).requires_grad_(False)


def measured(name: str, model: VAE, batches: list[tuple[Tensor, Tensor | None]], **more: Any) -> Figure:
    asked = {"importance_samples": 20, "annealing_steps": 100, "batch_size": 1000} | more
    return METRICS[name]().measure(Trained(model, ELBO(), "test", lambda _: batches, **asked))


def normal(mean: Tensor, precision: Tensor) -> MultivariateNormal:
    return MultivariateNormal(mean, precision_matrix=torch.diag_embed(precision))


def test_annealing_gives_the_evidence_within_its_error(model: VAE) -> None:
    x = examples(model, 30)
    figure = measured("ais", model, [(x, None)])
    error = figure.parts["Monte-Carlo error"][0]
    assert figure.kind == "bound"
    assert 0.01 < error < 0.2
    assert abs(figure.mean - float(evidence(model, x).mean())) < 5 * error / 30**0.5
    assert figure.standard_error == pytest.approx(float(evidence(model, x).std()) / 30**0.5, rel=0.1)


def test_the_monte_carlo_error_is_the_spread_of_repeats(model: VAE) -> None:
    x = examples(model, 1).expand(200, -1)  # one example over and over
    figure = measured("ais", model, [(x, None)], batch_size=4000, annealing_steps=50)
    assert figure.standard_error is not None
    spread = figure.standard_error * 200**0.5
    assert figure.parts["Monte-Carlo error"][0] == pytest.approx(spread, rel=0.35)  # the tails are heavy


def test_laplace_gives_the_evidence(model: VAE) -> None:
    x = examples(model, 30)
    figure = measured("laplace", model, [(x, None)], batch_size=7)
    assert figure.mean == pytest.approx(float(evidence(model, x).mean()), abs=1e-9)


def test_laplace_works_in_double_precision_and_leaves_the_model_in_its_own(model: VAE) -> None:
    model = model.float()
    x = examples(model, 10)
    figure = measured("laplace", model, [(x, None)])
    assert model.decoder.weight.dtype == torch.float32
    assert figure.mean == pytest.approx(float(evidence(model.double(), x.double()).mean()), abs=1e-9)


def test_the_gaps_are_the_divergences_that_they_stand_for(model: VAE) -> None:
    x = examples(model, 20)
    figure = measured("inference_gaps", model, [(x, None)], annealing_steps=150)
    posterior = true_posterior(model, x)
    mean, log_scale = model.posterior_features(x).chunk(2, dim=1)
    best = normal(posterior.mean, posterior.precision_matrix.diagonal(dim1=1, dim2=2))
    whole = kl_divergence(normal(mean, (-2 * log_scale).exp()), posterior)
    approximation = kl_divergence(best, posterior)
    parts = {name: mean for name, (mean, _) in figure.parts.items()}
    assert parts["log p(x)"] == pytest.approx(float(evidence(model, x).mean()), abs=0.05)
    assert parts["L[q]"] == pytest.approx(float((evidence(model, x) - whole).mean()), abs=0.05)
    assert parts["approximation gap"] == pytest.approx(float(approximation.mean()), abs=0.05)
    assert parts["amortisation gap"] == pytest.approx(float((whole - approximation).mean()), abs=0.05)
    assert figure.mean == pytest.approx(float(whole.mean()), abs=0.05)
    assert min(float(approximation.mean()), float((whole - approximation).mean())) > 0.1
    assert figure.mean == pytest.approx(parts["approximation gap"] + parts["amortisation gap"])
    assert parts["log p(x)"] == max(value for name, value in parts.items() if name.startswith(("AIS", "IWAE of q*")))


@pytest.mark.parametrize("name", ["ais", "laplace", "inference_gaps"])
def test_each_example_has_its_own_label(name: str) -> None:
    torch.manual_seed(0)
    model = linear_gaussian(conditional=True, num_classes=2)
    with torch.no_grad():
        model.decoder.weight[:, 3:] *= 10
    y = torch.arange(12) % 2
    x = model.sample(12, y)
    figure = measured(name, model, [(x, y)], importance_samples=40, annealing_steps=60)
    unconditional = linear_gaussian()
    expected = []
    for label in (0, 1):
        with torch.no_grad():
            unconditional.decoder.weight.copy_(model.decoder.weight[:, :3])
            unconditional.decoder.bias.copy_(model.decoder.bias + model.decoder.weight[:, 3 + label])
        expected.append(evidence(unconditional, x[y == label]))
    found = figure.parts["log p(x)"][0] if name == "inference_gaps" else figure.mean
    assert found == pytest.approx(float(torch.cat(expected).detach().mean()), abs=0.1)


@pytest.mark.parametrize("name", ["ais", "laplace", "inference_gaps"])
def test_a_hundred_examples_unless_a_number_is_given(name: str, model: VAE) -> None:
    batches = [(examples(model, 150), None)]
    quick = {"importance_samples": 2, "annealing_steps": 1, "batch_size": 300}
    assert measured(name, model, batches, max_examples=3, **quick).num_examples == 3
    if name == "laplace":
        assert measured(name, model, batches, **quick).num_examples == 100


def test_the_seed_says_what_is_drawn_and_the_callers_noise_stays(model: VAE) -> None:
    batches = [(examples(model, 3), None)]
    before = torch.get_rng_state()
    first, again, other = (measured("ais", model, batches, annealing_steps=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.mean == again.mean
    assert first.mean != other.mean


@pytest.mark.parametrize("name", ["ais", "laplace", "inference_gaps"])
def test_weights_that_have_diverged_are_told(name: str, model: VAE) -> None:
    x = examples(model, 3)
    with torch.no_grad():
        model.decoder.bias.fill_(math.nan)
    with pytest.raises(UserError, match="diverged"):
        measured(name, model, [(x, None)], annealing_steps=2)
