"""Pixel likelihoods by their formulas; the logistic mixture by the official code of PixelCNN++."""

import math

import pytest
import torch
from torch import Tensor

from genmodels.distributions import Bernoulli, Categorical, DiscretizedLogistic, LogisticMixture
from golden.scores import categorical, logistic_mixture


def _numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_bernoulli_by_hand() -> None:
    likelihood = Bernoulli((2, 1, 1), 2)
    params = torch.tensor([0.7, -1.3], dtype=torch.float64).view(1, 2, 1, 1)
    one = [1 / (1 + math.exp(-0.7)), 1 / (1 + math.exp(1.3))]
    for first in (0, 1):
        for second in (0, 1):
            x = torch.tensor([first, second]).view(1, 2, 1, 1)
            p = math.prod(p if bit else 1 - p for p, bit in zip(one, (first, second), strict=True))
            assert likelihood.log_prob(params, x).item() == pytest.approx(math.log(p), rel=1e-12)
    assert (likelihood.num_params, likelihood.num_noises) == (2, 2)


def test_categorical_by_hand() -> None:
    """The logit of value v of colour c is number v * C + c."""
    likelihood = Categorical((3, 1, 1), 4)
    logits = _numbers(12)
    x = torch.tensor([2, 0, 3]).view(1, 3, 1, 1)
    chosen = sum(logits[[2 * 3 + 0, 0 * 3 + 1, 3 * 3 + 2]].tolist())
    normalizers = sum(math.log(sum(math.exp(logits[v * 3 + c]) for v in range(4))) for c in range(3))
    got = likelihood.log_prob(logits.view(1, 12, 1, 1), x).item()
    assert got == pytest.approx(chosen - normalizers, rel=1e-12)
    assert (likelihood.num_params, likelihood.num_noises) == (12, 3)


def test_categorical_sums_over_an_image() -> None:
    params, x = _numbers(2, 12, 3, 2), torch.arange(36).view(2, 3, 3, 2) % 4
    got = Categorical((3, 3, 2), 4).log_prob(params, x).sum(dim=(1, 2))
    torch.testing.assert_close(got, categorical(params, x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("levels", [256, 32])
@pytest.mark.parametrize("num_components", [1, 5])
def test_the_logistic_mixture_is_that_of_the_official_code(colours: int, levels: int, num_components: int) -> None:
    """For bins that have more than 1e-5 of every component, and all of an image's ends."""
    likelihood = LogisticMixture((colours, 8, 8), levels, num_components)
    params = 0.5 * _numbers(16, likelihood.num_params, 8, 8).clamp(-1, 1)
    x = (torch.arange(16 * colours * 64).view(16, colours, 8, 8) * 37) % levels
    x[:2], x[2:4] = 0, levels - 1
    got = likelihood.log_prob(params, x).sum(dim=(1, 2))
    torch.testing.assert_close(got, logistic_mixture(params, x, levels), rtol=1e-9, atol=1e-9)


def test_log_scales_below_minus_seven_count_as_minus_seven_and_above_twenty_as_twenty() -> None:
    likelihood = LogisticMixture((1, 1, 1), 256, 1)
    x = torch.tensor([100]).view(1, 1, 1, 1)
    mean = 100 / 127.5 - 1 + 0.001

    def score(log_scale: float) -> float:
        params = torch.tensor([0.4, mean, log_scale], dtype=torch.float64).view(1, 3, 1, 1)
        return likelihood.log_prob(params, x).item()

    def mass(scale: float) -> float:
        above, below = (-0.001 + 1 / 255) / scale, (-0.001 - 1 / 255) / scale
        return 1 / (1 + math.exp(-above)) - 1 / (1 + math.exp(-below))

    assert score(-6.9) == pytest.approx(math.log(mass(math.exp(-6.9))), rel=1e-9)
    assert score(-7.5) == pytest.approx(math.log(mass(math.exp(-7.0))), rel=1e-9)
    # Far out the density is flat, a quarter of 1 / scale: log(2 / 255 / 4) - log scale.
    assert score(19.0) == pytest.approx(math.log(2 / 255 / 4) - 19.0, abs=1e-9)
    assert score(30.0) == pytest.approx(math.log(2 / 255 / 4) - 20.0, abs=1e-9)


def test_parameters_are_laid_out_as_in_the_official_code() -> None:
    """Logits, then for each colour means, log-scales and coefficients, whose tanh is a (red for green), b (red for
    blue), c (green for blue): one component, one number at a time."""
    likelihood = LogisticMixture((3, 1, 1), 256, 1)
    assert (likelihood.num_params, likelihood.num_noises) == (10, 4)
    _, m_red, s_red, a, m_green, s_green, b, m_blue, s_blue, c = range(10)
    params = torch.zeros(10, dtype=torch.float64)
    params[[m_red, m_green, m_blue]] = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    params[[s_red, s_green, s_blue]] = torch.tensor([-1.0, -2.0, -1.5], dtype=torch.float64)
    params[[a, b, c]] = torch.tensor([0.5, -0.4, 0.9], dtype=torch.float64)
    x = torch.tensor([200, 90, 140])
    v = [(value - 127.5) / 127.5 for value in x.tolist()]
    means = [0.1, -0.2 + math.tanh(0.5) * v[0], 0.3 + math.tanh(-0.4) * v[0] + math.tanh(0.9) * v[1]]
    expected = 0.0
    for value, mean, log_scale in zip(v, means, (-1.0, -2.0, -1.5), strict=True):
        above, below = ((value - mean + side / 255) / math.exp(log_scale) for side in (1, -1))
        expected += math.log(1 / (1 + math.exp(-above)) - 1 / (1 + math.exp(-below)))
    got = likelihood.log_prob(params.view(1, 10, 1, 1), x.view(1, 3, 1, 1)).item()
    assert got == pytest.approx(expected, rel=1e-10)


def test_a_drawn_pixel_is_that_of_the_official_code_rounded() -> None:
    """Component by its cumulative weight, x = mean + scale * logit(u) with the means moved by what has been drawn."""
    likelihood = LogisticMixture((3, 1, 1), 256, 2)
    params = 0.4 * _numbers(50, 20, 1, 1)
    params[:, 2:].unflatten(1, (3, 6))[:, :, 2:4] -= 2.0
    noise = torch.rand((50, 4, 1, 1), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drawn = likelihood.sample(params, noise)
    for p, u, got in zip(params.flatten(1).tolist(), noise.flatten(1).tolist(), drawn.flatten(1).tolist(), strict=True):
        k = int(u[0] >= math.exp(p[0]) / (math.exp(p[0]) + math.exp(p[1])))
        v: list[float] = []
        for colour in range(3):
            mean, log_scale = (p[2 + 6 * colour + 2 * part + k] for part in (0, 1))
            coefficients = [math.tanh(p[2 + 6 * of + 4 + k]) for of in ((), (0,), (1, 2))[colour]]
            mean += sum(coefficient * value for coefficient, value in zip(coefficients, v, strict=True))
            value = mean + math.exp(log_scale) * (math.log(u[1 + colour]) - math.log(1 - u[1 + colour]))
            pixel = min(255, max(0, round(127.5 * value + 127.5)))
            assert got[colour] == pixel
            v.append(pixel / 127.5 - 1)


@pytest.mark.parametrize("log_scale", [-4.0, -2.0, 0.5])
def test_without_tails_the_discretised_logistic_is_that_of_the_official_code_of_the_resnet_vae(
    log_scale: float,
) -> None:
    """`discretized_logistic` of openai/iaf, tf_utils/distributions.py, with `tf_train.py` around it."""
    likelihood = DiscretizedLogistic((3, 8, 8), 256, tails=False).double()
    torch.nn.init.constant_(likelihood.log_scale, log_scale)
    params, x = 0.3 * _numbers(16, 3, 8, 8), torch.arange(16 * 3 * 64).view(16, 3, 8, 8) * 37 % 256
    sample = ((x.double() + 0.5) / 256.0).clamp(0.0, 1.0) - 0.5
    mean, scale, binsize = params.clamp(-0.5 + 1 / 512.0, 0.5 - 1 / 512.0), math.exp(log_scale), 1 / 256.0
    at = (torch.floor(sample / binsize) * binsize - mean) / scale
    expected = torch.log(torch.sigmoid(at + binsize / scale) - torch.sigmoid(at) + 1e-7).sum(dim=(1, 2, 3))
    got = likelihood.log_prob(params, x).sum(dim=(1, 2))
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
