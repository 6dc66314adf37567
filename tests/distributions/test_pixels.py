"""Pixel likelihoods: their probabilities, samples and scores are of one distribution."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from genmodels.distributions import Bernoulli, Categorical, DiscretizedLogistic, LogisticMixture, PixelLikelihood
from genmodels.errors import UserError
from genmodels.models import PixelCNN

CASES = {
    "bernoulli": lambda channels: Bernoulli((channels, 1, 1), 2),
    "categorical": lambda channels: Categorical((channels, 1, 1), 4),
    "logistic mixture": lambda channels: LogisticMixture((channels, 1, 1), 4, num_components=3),
    "logistic": lambda channels: DiscretizedLogistic((channels, 1, 1), 4, "pixel"),
}
LOGISTICS = (LogisticMixture, DiscretizedLogistic)


@pytest.fixture(params=itertools.product(CASES, (1, 3)), ids=lambda p: f"{p[0]}, {p[1]} colours")
def likelihood(request: pytest.FixtureRequest) -> PixelLikelihood:
    torch.manual_seed(0)
    name, channels = request.param
    return CASES[name](channels)


def _params(likelihood: PixelLikelihood, batch: int = 1) -> Tensor:
    return torch.randn(batch, likelihood.num_params, 1, 1, dtype=torch.float64)


def _every_pixel(likelihood: PixelLikelihood) -> Tensor:
    """[levels ** C, C, 1, 1]."""
    values = [torch.arange(likelihood.levels)] * likelihood.channels
    return torch.cartesian_prod(*values).view(-1, likelihood.channels, 1, 1)


def test_probabilities_of_all_colours_sum_to_one(likelihood: PixelLikelihood) -> None:
    x = _every_pixel(likelihood)
    log_p = likelihood.log_prob(_params(likelihood).expand(len(x), -1, -1, -1), x)
    assert log_p.shape == (len(x), 1, 1)
    assert log_p.exp().sum().item() == pytest.approx(1.0, abs=1e-12)


def test_the_product_of_the_pmfs_of_the_colours_is_the_probability(likelihood: PixelLikelihood) -> None:
    x = _every_pixel(likelihood)
    params = _params(likelihood).expand(len(x), -1, -1, -1)
    product = torch.ones(len(x), 1, 1, dtype=torch.float64)
    for channel in range(likelihood.channels):
        pmf = likelihood.pmf(params, x, channel)
        torch.testing.assert_close(pmf.sum(dim=1), torch.ones_like(product))
        product = product * pmf.gather(1, x[:, None, channel]).squeeze(1)
    torch.testing.assert_close(product, likelihood.log_prob(params, x).exp())


def test_every_draw_of_the_params_scores_every_example_whole(likelihood: PixelLikelihood) -> None:
    draws, batch, side = 3, 4, 2
    params = torch.randn(draws, batch, likelihood.num_params, side, side, dtype=torch.float64)
    x = torch.randint(0, likelihood.levels, (batch, likelihood.channels, side, side), dtype=torch.uint8)
    expected = [likelihood.log_prob(of_one, x).sum(dim=(1, 2)) for of_one in params]
    torch.testing.assert_close(likelihood.of_draws(params.flatten(0, 1), x), torch.stack(expected))


def test_samples_have_the_probabilities_that_log_prob_gives(likelihood: PixelLikelihood) -> None:
    n = 40_000
    params = _params(likelihood)
    noise = torch.rand(1, likelihood.num_noises, n, 1, dtype=torch.float64)
    drawn = likelihood.sample(params.expand(-1, -1, n, -1), noise)[0, :, :, 0]
    place = likelihood.levels ** torch.arange(likelihood.channels - 1, -1, -1)
    counts = torch.bincount(place @ drawn, minlength=likelihood.levels**likelihood.channels)
    x = _every_pixel(likelihood)
    p = likelihood.log_prob(params.expand(len(x), -1, -1, -1), x).exp().flatten()
    often = n * p > 5  # counts of rarer pixels are far from normal
    deviation = (counts / n - p) / (p * (1 - p) / n).sqrt()
    assert deviation[often].abs().max() < 4.5


def test_a_cold_sample_does_not_depend_on_the_colours_noise(likelihood: PixelLikelihood) -> None:
    params = _params(likelihood, batch=5)
    noise = torch.rand(2, 5, likelihood.num_noises, 1, 1, dtype=torch.float64)
    first, second = (likelihood.sample(params, u, temperature=0.0) for u in noise)
    assert torch.equal(first, second)
    if not isinstance(likelihood, LOGISTICS):
        for channel in range(likelihood.channels):
            assert torch.equal(likelihood.pmf(params, first, channel).argmax(dim=1), first[:, channel])


def test_temperature_divides_logits_and_multiplies_scales(likelihood: PixelLikelihood) -> None:
    params, temperature = _params(likelihood, batch=500), 0.6
    noise = torch.rand(500, likelihood.num_noises, 1, 1, dtype=torch.float64)
    changed = params / temperature
    if isinstance(likelihood, DiscretizedLogistic):
        changed = params.clone()
        changed[:, likelihood.channels :] += math.log(temperature)
    elif isinstance(likelihood, LogisticMixture):
        m = likelihood.num_components
        changed[:, m:] = params[:, m:]
        changed[:, m:].unflatten(1, (likelihood.channels, -1))[:, :, m : 2 * m] += math.log(temperature)
    drawn = likelihood.sample(params, noise, temperature)
    assert torch.equal(drawn, likelihood.sample(changed, noise))
    assert not torch.equal(drawn, likelihood.sample(params, noise))


@pytest.mark.parametrize("noise", [0.0, 1.0 - 2.0**-24])
def test_the_ends_of_the_noise_give_values_of_the_data(likelihood: PixelLikelihood, noise: float) -> None:
    params = _params(likelihood, batch=50).float()
    drawn = likelihood.sample(params, torch.full((50, likelihood.num_noises, 1, 1), noise))
    assert ((drawn >= 0) & (drawn < likelihood.levels)).all()


def test_extreme_parameters_give_finite_scores_and_gradients() -> None:
    likelihood = LogisticMixture((3, 1, 1), 256, num_components=2)
    for size in (1e2, 1e4, 1e6):
        params = (size * torch.randn(64, likelihood.num_params, 1, 1)).requires_grad_()
        score = likelihood.log_prob(params, torch.randint(0, 256, (64, 3, 1, 1)))
        (gradient,) = torch.autograd.grad(score.sum(), params)
        assert score.isfinite().all()
        assert gradient.isfinite().all()


def test_float32_is_close_to_float64_and_has_gradients_even_far_out() -> None:
    likelihood = LogisticMixture((1, 1, 1), 256, num_components=1)
    log_scales, means = torch.meshgrid(torch.linspace(-9, 1, 41), torch.linspace(-1.5, 1.5, 31), indexing="ij")
    params = torch.stack((torch.zeros(41 * 31), means.flatten(), log_scales.flatten()), dim=1)[:, :, None, None]
    for value in (0, 1, 128, 254, 255):
        x = torch.full((41 * 31, 1, 1, 1), value)
        single = params.clone().requires_grad_()
        got = likelihood.log_prob(single, x)
        expected = likelihood.log_prob(params.double(), x)
        torch.testing.assert_close(got.double(), expected, atol=1e-3, rtol=1e-5)
        (gradient,) = torch.autograd.grad(got.sum(), single)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("head", [Bernoulli, Categorical, LogisticMixture])
def test_the_outputs_of_a_network_under_autocast_are_scored_in_float32(head: type[PixelLikelihood]) -> None:
    torch.manual_seed(0)
    shape = (3, 32, 32)
    likelihood = head(shape, 2 if head is Bernoulli else 256)
    params = torch.randn(4, likelihood.num_params, 32, 32).bfloat16()
    x = torch.randint(0, likelihood.levels, (4, *shape))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        score, whole = likelihood.log_prob(params, x), likelihood.of_draws(params, x)
    assert score.dtype == torch.float32
    torch.testing.assert_close(score, likelihood.log_prob(params.float(), x))
    torch.testing.assert_close(whole, likelihood.of_draws(params.float(), x))


def test_a_wide_logistic_leaves_the_tails_to_the_outer_values() -> None:
    """Closed form: with scale s and mean 0, P(0) = sigma((-1 + 1/255) / s)."""
    likelihood = LogisticMixture((1, 1, 1), 256, num_components=1)
    params = torch.tensor([0.0, 0.0, math.log(2.0)], dtype=torch.float64).view(1, 3, 1, 1)
    pmf = likelihood.pmf(params, torch.zeros(1, 1, 1, 1, dtype=torch.long), 0).flatten()
    assert pmf[0].item() == pytest.approx(1 / (1 + math.exp((1 - 1 / 255) / 2)), abs=1e-12)
    assert pmf[0].item() == pytest.approx(pmf[255].item(), abs=1e-12)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: Categorical((2,), None), "model.likelihood"),
        (lambda: Bernoulli((1, 8, 8), 256), "model/likelihood=categorical"),
        (lambda: LogisticMixture((2, 8, 8), 256), "1 or 3 colours"),
        (lambda: LogisticMixture((2,), None), "needs images"),
        (lambda: LogisticMixture((3, 8, 8), 256, num_components=0), "model.likelihood.num_components"),
    ],
)
def test_what_does_not_fit_is_told_in_a_sentence(make, key: str) -> None:
    with pytest.raises(UserError, match=key):
        make()


def test_a_likelihood_of_a_user_may_have_parameters_which_move_and_are_saved_with_the_model() -> None:
    class Warm(Categorical):
        def __init__(self, shape: tuple[int, int, int], levels: int) -> None:
            super().__init__(shape, levels)
            self.log_temperature = torch.nn.Parameter(torch.zeros(()))

        def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
            return super().log_prob(params * self.log_temperature.exp(), x)

    shape = (1, 4, 4)
    model = PixelCNN(shape, Warm(shape, 3), num_layers=1, width=4, output_width=4).double()
    assert model.state_dict()["likelihood.log_temperature"].dtype == torch.float64
    x = torch.randint(0, 3, (2, *shape))
    model.log_prob(x).sum().backward()
    assert float(model.likelihood.log_temperature.grad) != 0.0
