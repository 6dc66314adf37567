"""Variational dequantisation: uniform noise as a special case, and its bounds against an exact likelihood."""

import math

import pytest
import scipy.stats
import torch
from torch import Tensor, nn

from genmodels.bijections import Bijection, Compose, Logit, MixtureLogistic
from genmodels.bijections.base import sum_per_sample
from genmodels.distributions import Dequantization, UniformDequantization, VariationalDequantization
from genmodels.models import Flow

LEVELS = 5


class LogitOfUniform(Bijection):
    """eps -> logit(Phi(eps)): the sigmoid of it is uniform."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_cdf, log_survival = torch.special.log_ndtr(x), torch.special.log_ndtr(-x)
        log_density = -0.5 * x.square() - 0.5 * math.log(2 * math.pi)
        return log_cdf - log_survival, sum_per_sample(log_density - log_cdf - log_survival)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = torch.special.ndtri(torch.sigmoid(z))
        return x, -self(x)[1]


class OneDimensional(Bijection):
    """A mixture-of-logistics transform of single numbers, its parameters a linear function of the context."""

    def __init__(self, log_scale: float) -> None:
        super().__init__()
        self.elementwise = MixtureLogistic(3)
        self.parameters_of = nn.Linear(1, self.elementwise.num_parameters)
        with torch.no_grad():
            self.parameters_of.bias[0] = log_scale

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_derivative = self.elementwise(x, self._parameters_given(x, context))
        return z, log_derivative[:, 0]

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, log_derivative = self.elementwise.inverse(z, self._parameters_given(z, context))
        return x, log_derivative[:, 0]

    def _parameters_given(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self.parameters_of(torch.zeros_like(x) if context is None else 3.0 * context)


def test_uniform_noise_is_a_special_case() -> None:
    torch.manual_seed(0)
    variational = VariationalDequantization(17, LogitOfUniform(), nn.Identity())
    x = torch.randint(0, 17, (40, 1, 8, 8), dtype=torch.uint8)
    v, log_weight = variational(x, torch.float64)
    _, expected = UniformDequantization(17)(x, torch.float64)
    torch.testing.assert_close(log_weight, expected)
    assert scipy.stats.kstest((v * 17 - x).flatten().numpy(), "uniform").pvalue > 1e-3
    assert torch.equal(variational.quantize(v), x)


def _model(dequantization: Dequantization) -> Flow:
    """A density over five levels of one pixel, far from flat inside the cells."""
    torch.manual_seed(5)
    flow = Compose([Logit(0.05), OneDimensional(0.0)])
    return Flow(flow, (1,), LEVELS, dequantization=dequantization).double()


def _exact(model: Flow) -> Tensor:
    """log P(x) of every x: the flow is increasing, so P(x) is a difference of normal CDFs."""
    edges = torch.linspace(0.0, 1.0, LEVELS + 1, dtype=torch.float64)[:, None]
    with torch.no_grad():
        z, _ = model.bijection(edges)
    return torch.special.ndtr(z[:, 0]).diff().log()


@pytest.mark.parametrize("kind", ["uniform", "variational"])
def test_bounds_against_the_exact_likelihood(kind: str) -> None:
    torch.manual_seed(1)
    noise: Dequantization = UniformDequantization(LEVELS)
    if kind == "variational":
        noise = VariationalDequantization(LEVELS, OneDimensional(1.0), nn.Identity())
    model = _model(noise)
    exact = _exact(model)
    x = torch.arange(LEVELS)[:, None].repeat(64 * 1500, 1)
    with torch.no_grad():
        log_weights = model.log_prob(x).view(-1, LEVELS)

    ratio = torch.exp(log_weights - exact)
    error = ratio.std(dim=0) / math.sqrt(len(ratio))
    assert (error < 0.02).all()
    assert ((ratio.mean(dim=0) - 1.0).abs() < 4.0 * error).all()

    bounds = torch.stack([_bound(log_weights, k) for k in (1, 4, 64)])
    assert (bounds[:-1] < bounds[1:]).all()
    assert (bounds[-1] < exact + 4.0 * error).all()
    gaps = (exact - bounds).sum(dim=1)
    assert gaps[0] > 5.0 * gaps[2]


def _bound(log_weights: Tensor, k: int) -> Tensor:
    return torch.logsumexp(log_weights.view(-1, k, LEVELS), dim=1).sub(math.log(k)).mean(dim=0)


def test_learned_noise_closes_the_gap_that_uniform_noise_leaves() -> None:
    """Trained on the bound alone, with the model fixed."""
    torch.manual_seed(1)
    noise = VariationalDequantization(LEVELS, OneDimensional(0.5), nn.Identity())
    model, uniform = _model(noise), _model(UniformDequantization(LEVELS))
    x = torch.arange(LEVELS)[:, None].repeat(100, 1)
    optimizer = torch.optim.Adam(noise.parameters(), lr=0.03)
    for _ in range(200):
        optimizer.zero_grad()
        (-model.log_prob(x).mean()).backward()
        optimizer.step()
    with torch.no_grad():
        x = x.repeat(50, 1)
        gaps = [float(_exact(m).mean() - m.log_prob(x).mean()) for m in (model, uniform)]
    assert 0.0 < gaps[0] < 0.5 * gaps[1]
