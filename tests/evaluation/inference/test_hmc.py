"""Hamiltonian transitions on a density whose moments are known."""

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from genmodels.evaluation.inference.hmc import Point, at, leapfrog, transition


def correlated() -> MultivariateNormal:
    covariance = torch.tensor([[1.0, 0.6], [0.6, 0.5]], dtype=torch.double)
    return MultivariateNormal(torch.tensor([1.0, -2.0], dtype=torch.double), covariance)


def curved(z: Tensor) -> Tensor:
    """A banana: no trajectory is an ellipse."""
    return -0.5 * z[:, 0].square() - 2 * (z[:, 1] - z[:, 0].square()).square()


def started(n: int) -> tuple[Point, Tensor, Tensor]:
    torch.manual_seed(0)
    z, momentum = torch.randn(2, n, 2, dtype=torch.double)
    return at(curved, z), momentum, 0.05 + 0.1 * torch.rand(n, dtype=torch.double)


def test_a_trajectory_leads_back_with_the_momentum_turned() -> None:
    start, momentum, sizes = started(20)
    end, last = leapfrog(curved, start, momentum, sizes, steps=12)
    assert (end.z - start.z).abs().max() > 0.5
    back, turned = leapfrog(curved, end, -last, sizes, steps=12)
    assert torch.allclose(back.z, start.z, atol=1e-10)
    assert torch.allclose(turned, -momentum, atol=1e-10)


def test_a_trajectory_preserves_volume() -> None:
    _, _, sizes = started(1)

    def flow(state: Tensor) -> Tensor:
        # `at` takes derivatives on its own, so the map is differentiated numerically.
        z, momentum = state[None].chunk(2, dim=1)
        end, last = leapfrog(curved, at(curved, z), momentum, sizes, steps=7)
        return torch.cat((end.z, last), dim=1)[0]

    state, step = torch.tensor([0.4, -0.3, 0.9, -1.1], dtype=torch.double), 1e-5
    columns = [(flow(state + step * e) - flow(state - step * e)) / (2 * step) for e in torch.eye(4).double()]
    jacobian = torch.stack(columns, dim=1)
    assert (jacobian - torch.eye(4)).abs().max() > 0.5
    assert abs(float(torch.linalg.det(jacobian)) - 1) < 1e-7


def test_the_energy_error_falls_with_the_square_of_the_step() -> None:
    start, momentum, _ = started(200)

    def error(size: float, steps: int) -> float:
        sizes = torch.full((200,), size, dtype=torch.double)
        end, last = leapfrog(curved, start, momentum, sizes, steps)
        change = end.log_density - start.log_density - 0.5 * (last.square() - momentum.square()).sum(dim=1)
        return float(change.abs().mean())

    assert 3.5 < error(0.02, 20) / error(0.01, 40) < 4.5


def test_transitions_leave_the_density_as_it_is() -> None:
    torch.manual_seed(0)
    target, n = correlated(), 100_000
    z = target.sample((n,))
    # so large a step that a quarter is rejected: without the right acceptance the moments would move
    for _ in range(5):
        z, acceptance = transition(target.log_prob, z, torch.full((n,), 0.5, dtype=torch.double), steps=3)
    assert 0.5 < acceptance.mean() < 0.9
    deviation = target.covariance_matrix.diagonal().sqrt()
    assert ((z.mean(dim=0) - target.mean).abs() < 5 * deviation / n**0.5).all()
    assert torch.allclose(torch.cov(z.T), target.covariance_matrix, atol=5 * 2**0.5 / n**0.5)


def test_transitions_find_the_density_from_elsewhere() -> None:
    torch.manual_seed(0)
    target = correlated()
    z = torch.zeros(20_000, 2, dtype=torch.double)
    for _ in range(30):
        z, _ = transition(target.log_prob, z, torch.full((len(z),), 0.5, dtype=torch.double), steps=4)
    assert torch.allclose(z.mean(dim=0), target.mean, atol=0.04)
    assert torch.allclose(torch.cov(z.T), target.covariance_matrix, atol=0.04)


def test_a_trajectory_off_the_numbers_is_rejected() -> None:
    z = torch.ones(3, 2, dtype=torch.double)
    moved, acceptance = transition(lambda z: -z.pow(4).sum(dim=1), z, torch.full((3,), 1e3, dtype=torch.double), 20)
    assert torch.equal(moved, z)
    assert torch.equal(acceptance, torch.zeros(3, dtype=torch.double))
