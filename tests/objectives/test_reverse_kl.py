"""Reverse KL against numerical integration, and what it does to a flow."""

import math

import pytest
import torch
from torch import Tensor

from genmodels.config.compose import compose
from genmodels.distributions.energies import BOX, ENERGIES
from genmodels.errors import UserError
from genmodels.evaluation.metrics import ReverseKLDivergence, Trained
from genmodels.models import NICE, Model, PlanarFlow, RadialFlow
from genmodels.models.flows.flow import Flow
from genmodels.objectives import NegativeLogLikelihood, ReverseKL

FLOWS = {"planar": lambda: PlanarFlow((2,), None, 3), "radial": lambda: RadialFlow((2,), None, 3)}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _grid(limit: float) -> tuple[Tensor, float]:
    axis = torch.linspace(-limit, limit, 400, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis), float(axis[1] - axis[0]) ** 2


@torch.no_grad()
def _integrated_kl(model: Flow, objective: ReverseKL) -> float:
    points, cell = _grid(9.0)
    log_q = model.log_prob(points)
    assert float(log_q.exp().sum() * cell) == pytest.approx(1.0, abs=1e-3)
    return float((log_q.exp() * (log_q - objective.log_density(points))).sum() * cell)


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("energy", ENERGIES)
def test_estimate_agrees_with_the_integral_over_a_grid(flow: str, energy: str) -> None:
    """Samples through one direction of the flow, densities of the grid through the other."""
    model, objective = FLOWS[flow]().double(), ReverseKL(energy)
    trained = Trained(model, objective, "test", lambda _: [], max_examples=100_000)
    estimate = ReverseKLDivergence().measure(trained)
    assert estimate.standard_error is not None
    assert abs(estimate.mean - _integrated_kl(model, objective)) < 4 * estimate.standard_error


def test_the_target_is_a_density() -> None:
    points, cell = _grid(BOX)
    for energy in ENERGIES:
        density = ReverseKL(energy).log_density(points).exp()
        assert float(density.sum() * cell) == pytest.approx(1.0, abs=1e-4)


def test_samples_come_with_their_density() -> None:
    for model in (*(make().double() for make in FLOWS.values()), NICE((2,), None, 2, 1, 8).double()):
        x, log_prob = model.sample_with_log_prob(50)
        torch.testing.assert_close(log_prob, model.log_prob(x), atol=1e-8, rtol=1e-8)


def test_loss_is_the_annealed_free_energy_and_the_metric_is_not_annealed() -> None:
    model, x = PlanarFlow((2,), None, 2).double(), torch.zeros(500, 2)
    losses, metrics = [], []
    objective = ReverseKL("u1", annealing_steps=1000)
    for step in (0, 490, 990, 5000):
        objective.at_step(step)
        torch.manual_seed(1)
        loss, values = objective(model, x, None)
        losses.append(loss.item())
        metrics.append(values["reverse_kl"].item())
    torch.manual_seed(1)
    samples, log_prob = model.sample_with_log_prob(500)
    entropy, energy = -log_prob.mean().item(), ENERGIES["u1"](samples).mean().item()
    assert losses == pytest.approx([beta * energy - entropy for beta in (0.01, 0.5, 1.0, 1.0)])
    assert metrics == pytest.approx([metrics[0]] * 4)
    assert metrics[0] == pytest.approx(-entropy - objective.log_density(samples).mean().item())


def test_annealing_takes_the_papers_ten_thousand_steps() -> None:
    assert ReverseKL("u1").annealing_steps == 10_000
    assert compose(["model=planar", "data=energy2d"])["objective"]["annealing_steps"] == 10_000


def test_without_annealing_beta_is_one_from_the_start() -> None:
    objective, model = ReverseKL("u2", annealing_steps=0), PlanarFlow((2,), None, 2).double()
    objective.at_step(0)
    torch.manual_seed(1)
    loss, metrics = objective(model, torch.zeros(500, 2), None)
    constant = ENERGIES["u2"](torch.zeros(1, 2, dtype=torch.float64)) + objective.log_density(
        torch.zeros(1, 2, dtype=torch.float64)
    )
    assert loss.item() - constant.item() == pytest.approx(metrics["reverse_kl"].item())


@pytest.mark.parametrize("flow", FLOWS)
def test_its_gradient_leads_downhill(flow: str) -> None:
    """The integral falls along the gradient estimated from samples, and by as much as the gradient says."""
    model, objective = FLOWS[flow]().double(), ReverseKL("u1", annealing_steps=0)
    before = _integrated_kl(model, objective)
    loss, _ = objective(model, torch.zeros(100_000, 2), None)
    loss.backward()
    squared_norm = sum(float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None)
    rate = 1e-4 / math.sqrt(squared_norm)
    with torch.no_grad():
        for p in model.parameters():
            p -= rate * p.grad
    assert before - _integrated_kl(model, objective) == pytest.approx(rate * squared_norm, rel=0.05)


def test_data_that_is_no_density_is_refused() -> None:
    with pytest.raises(UserError, match="moons is none of them: choose data=energy2d"):
        ReverseKL("moons")
    with pytest.raises(UserError, match="annealing_steps=-1"):
        ReverseKL("u1", annealing_steps=-1)


def test_models_that_draw_no_points_are_refused() -> None:
    with pytest.raises(UserError, match="a model that draws together with its density"):
        ReverseKL("u1").check(Model())
    with pytest.raises(UserError, match="needs a flow on the plane"):
        ReverseKL("u1").check(PlanarFlow((3,), None, 1))
    ReverseKL("u1").check(PlanarFlow((2,), None, 1))
    NegativeLogLikelihood().check(PlanarFlow((2,), None, 1))
