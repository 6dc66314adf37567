"""Normal noise on pixels: a log-weight whose mean is a distribution over integers."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from genmodels.distributions import GaussianNoise

LEVELS = 4


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _density(v: Tensor) -> Tensor:
    """Some density of one pixel that is not at home on [0, 1]."""
    normal = torch.distributions.Normal(torch.tensor([0.2, 0.9]).double(), torch.tensor([0.3, 0.15]).double())
    return (normal.log_prob(v[..., None]).exp() * torch.tensor([0.6, 0.4])).sum(dim=-1)


def _probabilities(deviation: float) -> list[float]:
    """P(x) = integral of p(v) times the mass of N(v, s^2) in the cell of x, by the trapezoidal rule."""
    v = torch.linspace(-6, 7, 40_001, dtype=torch.float64)
    read_off = torch.distributions.Normal(v, deviation)
    edges = [-math.inf, *((k + 0.5) / (LEVELS - 1) for k in range(LEVELS - 1)), math.inf]
    below = [torch.zeros_like(v) if e == -math.inf else read_off.cdf(torch.tensor(e).double()) for e in edges[:-1]]
    below.append(torch.ones_like(v))
    return [float(torch.trapezoid(_density(v) * (high - low), v)) for low, high in itertools.pairwise(below)]


@pytest.mark.parametrize("deviation", [0.15, 0.3])
def test_the_mean_weight_is_the_probability_of_the_pixel_that_is_read_off(deviation: float) -> None:
    expected = _probabilities(deviation)
    assert sum(expected) == pytest.approx(1.0, abs=1e-6)
    noise = GaussianNoise(LEVELS, deviation)
    for x, probability in enumerate(expected):
        v, log_weight = noise(torch.full((200_000, 1), x), torch.float64)
        weights = _density(v[:, 0]) * log_weight.exp()
        error = float(weights.std()) / len(weights) ** 0.5
        assert float(weights.mean()) == pytest.approx(probability, abs=5 * error)
        assert error < 0.03 * probability


def test_with_noise_of_many_cells_a_pixel_inside_costs_the_log_of_the_cells() -> None:
    """As if every cell were of volume 1 / (levels - 1): the +7 bits of pixels from -1 to 1, or nearly."""
    _, log_weight = GaussianNoise(256, 0.025)(torch.full((50, 3, 4), 128), torch.float32)
    torch.testing.assert_close(log_weight, torch.full((50,), -12 * math.log(255)), atol=0.15, rtol=0)


def test_the_noise_is_of_its_deviation_and_pixels_come_back_without_it() -> None:
    noise = GaussianNoise(256, 0.025)
    x = torch.arange(256).repeat(200, 1)
    v, log_weight = noise(x, torch.float32)
    assert float((v - x / 255).std()) == pytest.approx(0.025, rel=0.02)
    assert log_weight.isfinite().all()
    assert float(v.min()) < 0
    assert torch.equal(noise.quantize(noise.centre(x, torch.float32)), x.to(torch.uint8))
    assert noise.quantize(torch.tensor([-0.3, 1.2, 0.6 / 255])).tolist() == [0, 255, 1]
