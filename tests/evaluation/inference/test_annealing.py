"""Annealed weights against integrals that are known."""

import math

import pytest
import torch
from linear_gaussian import evidence, examples, linear_gaussian
from torch import Tensor
from torch.distributions import MultivariateNormal

from genmodels.evaluation.inference import annealing
from genmodels.evaluation.inference.annealing import anneal, temperatures

LOG_INTEGRAL = 1.7


def prior() -> MultivariateNormal:
    return MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())


def far_off(z: Tensor) -> Tensor:
    """A narrow bell away from the prior, of integral e^1.7."""
    mean = torch.tensor([1.0, -1.0], dtype=torch.double)
    return MultivariateNormal(mean, 0.1 * torch.eye(2).double()).log_prob(z) + LOG_INTEGRAL


def weights(chains: int, steps: int, leapfrog_steps: int = 3, **more: str) -> Tensor:
    return anneal(prior().log_prob, far_off, lambda: prior().sample((chains, 1)), steps, leapfrog_steps, **more)[:, 0]


@pytest.mark.parametrize("schedule", ["sigmoidal", "linear"])
def test_temperatures_rise_from_0_to_1(schedule: annealing.Schedule) -> None:
    beta = temperatures(50, schedule)
    assert beta.shape == (51,)
    assert beta[0] == 0
    assert beta[-1] == 1
    assert (beta.diff() > 0).all()


def test_the_sigmoidal_schedule_is_slow_at_both_ends() -> None:
    beta = temperatures(100, "sigmoidal")
    assert torch.allclose(beta, 1 - beta.flip(0))
    first = 1 / (1 + math.exp(4))
    assert math.isclose(float(beta[25]), (1 / (1 + math.exp(2)) - first) / (1 - 2 * first))


def test_one_step_is_importance_sampling_from_the_prior() -> None:
    torch.manual_seed(0)
    z = prior().sample((500, 1))
    found = anneal(prior().log_prob, far_off, lambda: z, steps=1, leapfrog_steps=1)
    assert torch.allclose(found[:, 0], far_off(z[:, 0]) - prior().log_prob(z[:, 0]))


@pytest.mark.parametrize("schedule", ["sigmoidal", "linear"])
def test_weights_average_to_the_integral_however_short_the_chains(schedule: str) -> None:
    torch.manual_seed(0)
    relative = (weights(100_000, steps=4, schedule=schedule) - LOG_INTEGRAL).exp()
    assert abs(float(relative.mean()) - 1) < 5 * float(relative.std()) / 100_000**0.5
    assert relative.std() < 5


def test_one_chain_is_below_the_integral_and_longer_ones_come_nearer() -> None:
    torch.manual_seed(0)
    short, long = (float(weights(2000, steps).mean()) for steps in (5, 40))
    assert short < long - 0.5
    assert LOG_INTEGRAL - 0.5 < long < LOG_INTEGRAL


def test_step_sizes_follow_each_example_to_the_wanted_acceptance(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    scales = torch.tensor([1.0, 0.1], dtype=torch.double)
    told: list[Tensor] = []
    transition = annealing.transition

    def listening(log_density: annealing.LogDensity, z: Tensor, sizes: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        z, acceptance = transition(log_density, z, sizes, steps)
        told.append(acceptance.view(8, 2).mean(dim=0))
        return z, acceptance

    def narrow(z: Tensor) -> Tensor:
        return -0.5 * (z.view(8, 2, 20) / scales[:, None]).square().sum(dim=2).flatten()

    def first(z: Tensor) -> Tensor:
        return -0.5 * z.square().sum(dim=1) - 10 * math.log(2 * math.pi)

    monkeypatch.setattr(annealing, "transition", listening)
    anneal(first, narrow, lambda: torch.randn(8, 2, 20).double(), steps=500, leapfrog_steps=5)
    last_half = torch.stack(told[-250:])
    assert ((last_half.mean(dim=0) - 0.65).abs() < 0.15).all()


def test_a_linear_decoders_evidence() -> None:
    torch.manual_seed(0)
    model = linear_gaussian()
    x = examples(model, 8)
    rows = x.repeat(50, 1)
    log_weights = anneal(
        model.prior.log_prob,
        lambda z: model.log_joint(rows, z),
        lambda: model.prior.sample(400).view(50, 8, 3),
        steps=200,
        leapfrog_steps=5,
    )
    estimate = log_weights.logsumexp(dim=0) - math.log(50)
    error = (log_weights - estimate).exp().std(dim=0) / 50**0.5
    assert error.max() < 0.1
    assert ((estimate - evidence(model, x)).abs() < 5 * error).all()
