"""What every prior of latents must fulfil; a new one joins by being listed in tests/support/vae_parts.py."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal
from vae_parts import PRIORS, grid, stirred, vae

from genmodels.bijections import Autoregressive, GaussianConditional
from genmodels.distributions import FlowPrior, Gaussian, MixtureOfGaussians, autoregressive_mixture
from genmodels.errors import UserError
from genmodels.models import VAE, Diagonal, Networks
from genmodels.networks import MADENet

BOUNDED: list[Callable[[Tensor], Tensor]] = [torch.sin, torch.cos, lambda v: torch.tanh(v - 1.0)]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("latents", [1, 2])
@torch.no_grad()
def test_a_prior_integrates_to_one_and_its_draws_have_its_density(name: str, latents: int) -> None:
    prior = vae(prior=name, latents=latents).prior
    z, cell = grid(latents, reach=15.0, points=4001 if latents == 1 else 601)
    density = prior.log_prob(z).exp() * cell
    assert float(density.sum()) == pytest.approx(1.0, abs=2e-3)
    drawn = prior.sample(200_000)
    assert drawn.shape == (200_000, latents)
    for function in BOUNDED:  # bounded: some tails are heavy
        torch.testing.assert_close(function(drawn).mean(dim=0), density @ function(z), atol=0.01, rtol=0.0)
    if latents == 2:
        together = density @ (torch.tanh(z[:, 0]) * torch.tanh(z[:, 1]))
        found = (torch.tanh(drawn[:, 0]) * torch.tanh(drawn[:, 1])).mean()
        torch.testing.assert_close(found, together, atol=0.01, rtol=0.0)


@pytest.mark.parametrize("name", PRIORS)
@torch.no_grad()
def test_low_temperatures_draw_less_far_apart(name: str) -> None:
    prior = vae(prior=name, latents=2).prior
    spread = [float(prior.sample(20_000, temperature).var(dim=0).sum()) for temperature in (1.0, 0.5)]
    assert spread[1] < 0.9 * spread[0]


def test_the_mixture_is_torchs() -> None:
    prior = stirred(MixtureOfGaussians([3], num_components=4).double())
    components = Independent(Normal(prior.means, prior.log_scales.exp()), 1)
    expected = MixtureSameFamily(Categorical(logits=prior.logits), components)
    z = 2 * torch.randn(6, 3, dtype=torch.double)
    torch.testing.assert_close(prior.log_prob(z), expected.log_prob(z), rtol=1e-10, atol=1e-10)


def test_a_mixture_starts_spread_with_the_moments_of_a_standard_normal() -> None:
    prior = MixtureOfGaussians([2], num_components=2000)
    z = prior.sample(100_000)
    assert torch.allclose(z.mean(dim=0), torch.zeros(2), atol=0.05)
    assert torch.allclose(torch.cov(z.T), torch.eye(2), atol=0.08)
    assert float(prior.means.detach().var()) == pytest.approx(0.5, rel=0.1)


def test_a_mixture_at_temperature_zero_draws_the_mean_of_its_largest_component() -> None:
    prior = MixtureOfGaussians([2], num_components=3)
    with torch.no_grad():
        prior.logits.copy_(torch.tensor([0.0, 0.1, 0.0]))
    assert torch.equal(prior.sample(50, 0.0), prior.means[1].detach().expand(50, 2))


def test_each_latent_of_the_autoregressive_prior_sees_those_before_it() -> None:
    prior = autoregressive_mixture([4], num_components=2, width=16)
    h = prior.net(torch.randn(1, 4, requires_grad=True)).view(6, 4)
    assert h.shape == (6, 4)
    z = torch.randn(4, requires_grad=True)
    seen = torch.autograd.functional.jacobian(lambda v: prior.net(v[None]).view(6, 4).sum(dim=0), z)
    assert torch.equal(seen != 0, torch.ones(4, 4, dtype=torch.bool).tril(-1))


@pytest.mark.parametrize("key", ["num_components", "width", "num_hidden"])
def test_sizes_below_one_are_refused_by_their_keys(key: str) -> None:
    with pytest.raises(UserError, match=rf"^model\.prior\.{key} must be at least 1, got 0"):
        autoregressive_mixture([2], **{key: 0})
    if key == "num_components":
        with pytest.raises(UserError, match=r"^model\.prior\.num_components must be at least 1, got -1"):
            MixtureOfGaussians([2], num_components=-1)


class _Copies(Networks):
    """The decoder hands z on; the encoder says that z is x, to a thousandth."""

    def encoder(self, shape: object, num_features: int, context_features: int) -> torch.nn.Module:
        return _Exactly()

    def decoder(self, num_latents: int, shape: object, context_features: int) -> torch.nn.Module:
        return _Itself()


class _Exactly(torch.nn.Module):
    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        return torch.cat((x, torch.full_like(x, 1e-3).log()), dim=1)


class _Itself(torch.nn.Module):
    def forward(self, z: Tensor, context: Tensor | None) -> Tensor:
        return z


def test_a_vae_that_hands_its_latents_on_is_the_flow_that_is_its_prior() -> None:
    flow = stirred(FlowPrior([2], Autoregressive(MADENet(2, 2, [8]), GaussianConditional())).double())
    model = VAE([2], None, _Copies(), Diagonal(2), flow, Gaussian([2], None, scale=1e-3)).double()
    x = flow.sample(6).detach()
    bound = model.terms(x, samples=1000).log_weights.mean(dim=0)
    torch.testing.assert_close(bound, flow.log_prob(x), atol=0.01, rtol=0.0)
    assert (flow.log_prob(x) - torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(dim=1)).abs().max() > 0.1
