"""Each density of the plane against the points of its own generator."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from genmodels.data.sources.toy2d import DENSITIES
from genmodels.data.sources.toy2d_densities import log_density
from genmodels.distributions.modes import MIXTURES

SIDE, CELLS = 5.0, 100  # fields of the checkerboard end where cells do
SMOOTH = sorted(set(DENSITIES) - set(MIXTURES))


def _bounded(x: Tensor) -> Tensor:
    """Functions that a mirrored, turned or shifted density would have other means of, [N, 4]."""
    first, second = x.unbind(dim=1)
    return torch.stack(
        ((2 * first).sin() * (1.3 * second).cos(), (first * second).tanh(), (3 * second).cos(), second.sin()), dim=1
    )


@pytest.mark.parametrize("name", SMOOTH)
def test_it_integrates_to_one_and_has_the_means_of_the_points(name: str) -> None:
    axis = (torch.arange(CELLS, dtype=torch.float64) + 0.5) / CELLS * 2 * SIDE - SIDE
    x = torch.cartesian_prod(axis, axis)
    mass = log_density(name, x).exp() * (2 * SIDE / CELLS) ** 2
    assert float(mass.sum()) == pytest.approx(1.0, abs=2e-3)
    drawn = _bounded(torch.from_numpy(DENSITIES[name](100_000, np.random.default_rng(0))))
    error = drawn.std(dim=0) / math.sqrt(len(drawn))
    assert ((mass @ _bounded(x) - drawn.mean(dim=0)).abs() < 4 * error + 0.003).all()


@pytest.mark.parametrize("name", MIXTURES)
def test_the_narrow_mixtures_are_torchs(name: str) -> None:
    modes = MIXTURES[name]
    components = Independent(Normal(modes.centres, modes.deviation), 1)
    expected = MixtureSameFamily(Categorical(torch.ones(len(modes.centres), dtype=torch.float64)), components)
    x = torch.from_numpy(DENSITIES[name](50, np.random.default_rng(0)))
    torch.testing.assert_close(log_density(name, x), expected.log_prob(x), rtol=1e-10, atol=1e-10)


def test_the_checkerboard_has_its_entropy_and_nothing_between_its_fields() -> None:
    x = torch.from_numpy(DENSITIES["checkerboard"](1000, np.random.default_rng(0)))
    assert torch.equal(log_density("checkerboard", x), torch.full((1000,), -math.log(32), dtype=torch.float64))
    assert float(log_density("checkerboard", torch.tensor([[0.5, 2.5], [0.5, 0.5], [9.0, 1.0]])).exp().sum()) == (
        pytest.approx(1 / 32)
    )
