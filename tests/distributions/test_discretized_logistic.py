"""The discretised logistic: its scales, its tails and what the official codes lose with them."""

import math

import pytest
import torch
from torch import Tensor

from genmodels.distributions import DiscretizedLogistic
from genmodels.errors import UserError

SHAPE = (3, 1, 1)


def _with_log_scale(log_scale: float, tails: bool) -> DiscretizedLogistic:
    likelihood = DiscretizedLogistic((1, 1, 1), 256, tails=tails).double()
    torch.nn.init.constant_(likelihood.log_scale, log_scale)
    return likelihood


def _masses(likelihood: DiscretizedLogistic, mean: float) -> Tensor:
    params = torch.full((1, 1, 1, 1), mean, dtype=torch.double)
    return likelihood.pmf(params, torch.zeros(1, 1, 1, 1), 0).flatten().detach()


@pytest.mark.parametrize("log_scale", [-5.0, -3.0, -1.0, 1.0])
@pytest.mark.parametrize("mean", [-0.6, 0.0, 0.37, 0.5])
def test_with_tails_the_values_sum_to_one(log_scale: float, mean: float) -> None:
    assert _masses(_with_log_scale(log_scale, True), mean).sum().item() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("log_scale", "mean", "total"), [(-1.0, 0.0, 0.59), (-1.0, -0.5, 0.44), (-3.0, 0.0, 1.00), (-3.0, 0.5, 0.51)]
)
def test_without_tails_they_sum_to_what_lies_between_the_ends(log_scale: float, mean: float, total: float) -> None:
    assert _masses(_with_log_scale(log_scale, False), mean).sum().item() == pytest.approx(total, abs=0.006)


def test_the_tails_are_all_that_the_outer_values_gain() -> None:
    with_tails, without = (_masses(_with_log_scale(-2.0, tails), 0.1) for tails in (True, False))
    torch.testing.assert_close(with_tails[1:-1], without[1:-1] - 1e-7, rtol=1e-12, atol=1e-15)
    s = math.exp(-2.0)
    assert (with_tails - without)[0].item() == pytest.approx(1 / (1 + math.exp(0.6 / s)) - 1e-7, rel=1e-9)
    assert (with_tails - without)[-1].item() == pytest.approx(1 / (1 + math.exp(0.4 / s)) - 1e-7, rel=1e-9)


@pytest.mark.parametrize(("scale", "number"), [("scalar", 1), ("channel", 3), ("pixel", 0)])
def test_a_scale_belongs_to_all_to_a_colour_or_to_a_pixel(scale: str, number: int) -> None:
    likelihood = DiscretizedLogistic(SHAPE, 256, scale).double()
    assert sum(p.numel() for p in likelihood.parameters()) == number
    log_scales = torch.tensor([-1.0, -2.0, -3.0], dtype=torch.double).view(1, 3, 1, 1)
    if scale == "scalar":
        log_scales = log_scales[:, :1].expand(-1, 3, -1, -1)
    means = torch.tensor([0.1, -0.2, 0.3], dtype=torch.double).view(1, 3, 1, 1)
    params = means
    if likelihood.log_scale is None:
        params = torch.cat((means, log_scales), dim=1)
    else:
        with torch.no_grad():
            likelihood.log_scale.copy_(log_scales[0, :number])
    x = torch.tensor([100, 30, 200]).view(1, 3, 1, 1)
    expected = 0.0
    for value, mean, log_scale in zip(x.flatten(), means.flatten(), log_scales.flatten(), strict=True):
        above, below = ((value / 256 - 0.5 + side - mean) / log_scale.exp() for side in (1 / 256, 0.0))
        expected += math.log(torch.sigmoid(above) - torch.sigmoid(below))
    assert likelihood.log_prob(params, x).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("tails", "smallest", "largest"), [(True, -7.0, 20.0), (False, -4.5, 0.0)])
def test_a_networks_log_scales_are_cut(tails: bool, smallest: float, largest: float) -> None:
    likelihood = DiscretizedLogistic((1, 1, 1), 256, "pixel", tails)
    x = torch.tensor(128).view(1, 1, 1, 1)

    def score(log_scale: float) -> float:
        params = torch.tensor([0.001, log_scale], dtype=torch.double).view(1, 2, 1, 1)
        return likelihood.log_prob(params, x).item()

    assert score(smallest - 1) == score(smallest) != score(smallest + 0.1)
    assert score(largest + 1) == score(largest) != score(largest - 0.1)


def test_only_the_official_code_cuts_means_and_it_does_to_the_centres_of_the_outer_bins() -> None:
    centre = 0.5 - 1 / 512
    with_tails, without = (_with_log_scale(-3.0, tails) for tails in (True, False))
    assert torch.equal(_masses(without, 0.7), _masses(without, centre))
    assert not torch.equal(_masses(without, centre), _masses(without, centre - 0.001))
    assert not torch.equal(_masses(with_tails, 0.7), _masses(with_tails, centre))


@pytest.mark.parametrize("tails", [True, False])
def test_the_mean_is_that_of_the_samples(tails: bool) -> None:
    torch.manual_seed(0)
    likelihood, n = DiscretizedLogistic(SHAPE, 256, "channel", tails).double(), 400_000
    params = torch.tensor([-0.45, 0.0, 0.3], dtype=torch.double).view(1, 3, 1, 1)
    with torch.no_grad():
        likelihood.log_scale.copy_(torch.tensor([-1.5, -2.0, -1.0]).view(3, 1, 1))
        drawn = likelihood.sample(params.expand(-1, -1, n, -1), torch.rand(1, 3, n, 1, dtype=torch.double)).double()
        error = drawn.std(dim=2) / n**0.5
        assert ((drawn.mean(dim=2) - likelihood.mean(params).squeeze(2)).abs() < 5 * error).all()


@pytest.mark.parametrize("tails", [True, False])
def test_extreme_parameters_give_finite_scores_and_gradients(tails: bool) -> None:
    torch.manual_seed(0)
    likelihood = DiscretizedLogistic(SHAPE, 256, "pixel", tails)
    for size in (1.0, 1e2, 1e6):
        params = (size * torch.randn(64, 6, 1, 1)).requires_grad_()
        score = likelihood.log_prob(params, torch.randint(0, 256, (64, *SHAPE)))
        (gradient,) = torch.autograd.grad(score.sum(), params)
        assert score.isfinite().all()
        assert gradient.isfinite().all()


def test_vectors_are_refused() -> None:
    with pytest.raises(UserError, match="needs images"):
        DiscretizedLogistic((2,), None)
