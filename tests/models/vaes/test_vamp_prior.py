"""The VampPrior: a mixture of its own model's posteriors."""

import copy
import math

import pytest
import torch
from linear_gaussian import linear_gaussian
from vae_parts import POSTERIORS, stirred, vae

from genmodels.distributions import Bernoulli
from genmodels.errors import UserError
from genmodels.models import VAE, Diagonal, MLPNetworks, VampPrior


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _of_images(components: int = 6) -> VAE:
    shape = (1, 4, 4)
    prior = VampPrior([2], shape, 2, components)
    return VAE(shape, 2, MLPNetworks(8, 1), Diagonal(2), prior, Bernoulli(shape, 2)).double()


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_it_is_the_mixture_of_posteriors_one_by_one(posterior: str) -> None:
    model = vae(posterior, "vamp")
    z = torch.randn(6, 3, dtype=torch.double)
    total = torch.zeros(6, dtype=torch.double)
    for pseudo_input in model.prior.inputs:
        features = model.posterior_features(pseudo_input[None])
        total = total + model.posterior(z, features.expand(6, -1)).exp() / 4
    torch.testing.assert_close(model.prior.log_prob(z), total.log(), rtol=1e-9, atol=1e-9)


def test_pseudo_inputs_are_kept_where_pixels_are() -> None:
    model = _of_images()
    with torch.no_grad():
        model.prior.inputs.copy_(3 * torch.randn(6, 1, 4, 4))
    inside = model.encoder(model.prior.inputs.clamp(0, 1), None)
    torch.testing.assert_close(model.prior.components()[0], inside)
    vectors = linear_gaussian(prior=VampPrior([3], [5], None, 6))
    torch.testing.assert_close(vectors.prior.components()[0], vectors.encoder(vectors.prior.inputs))


def test_pseudo_inputs_start_as_in_the_official_code() -> None:
    inputs = _of_images(500).prior.inputs.detach()
    assert float(inputs.mean()) == pytest.approx(0.05, abs=0.001)
    assert float(inputs.std()) == pytest.approx(0.01, rel=0.05)


def test_gradients_reach_encoder_and_pseudo_inputs_through_the_prior() -> None:
    model = _of_images()
    model.prior.log_prob(torch.randn(3, 2, dtype=torch.double)).sum().backward()
    for parameter in (model.prior.inputs, *model.encoder.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.any()


@torch.no_grad()
def test_each_pseudo_input_is_drawn_as_often_as_the_others() -> None:
    model = stirred(_of_images(5))
    model.prior.inputs.uniform_()
    model.encoder.net.layers[-1].weight.mul_(20)
    model.encoder.net.layers[-1].bias[2:] = -20.0
    model.encoder.net.layers[-1].weight[2:] = 0.0
    centres = model.prior.components()[0][:, :2]
    nearest = torch.cdist(model.prior.sample(50_000), centres).argmin(dim=1)
    counts = torch.bincount(nearest, minlength=5)
    assert float((counts - 10_000).abs().max()) < 5 * math.sqrt(50_000 * 0.2 * 0.8)


def test_at_temperature_zero_it_draws_the_centres() -> None:
    model = _of_images()
    drawn, centres = model.prior.sample(100, 0.0), model.prior.components()[0][:, :2]
    assert float(torch.cdist(drawn, centres).amin(dim=1).max().detach()) < 1e-7


def test_it_is_saved_once_and_a_copy_has_its_own_encoder() -> None:
    model = _of_images()
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    assert len(names) == len(list(model.parameters()))
    assert {name for name in model.state_dict() if name.startswith("prior")} == {"prior.inputs"}
    twin, z = copy.deepcopy(model), torch.randn(3, 2, dtype=torch.double)
    before = model.prior.log_prob(z)
    stirred(twin.encoder)
    assert torch.equal(model.prior.log_prob(z), before)
    assert not torch.allclose(twin.prior.log_prob(z), before)
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin.prior.log_prob(z), before)


def test_the_prior_follows_a_model_that_is_moved() -> None:
    model = _of_images().float()
    assert model.prior.log_prob(torch.randn(3, 2)).dtype == torch.float32
    assert model.sample(2).dtype == torch.uint8


def test_without_an_encoder_and_with_classes_it_is_refused() -> None:
    with pytest.raises(UserError, match=r"model/prior=vamp is made of an encoder"):
        VampPrior([2], [5], None, 3).sample(1)
    with pytest.raises(UserError, match=r"pseudo-inputs without labels: set model\.conditional=false"):
        linear_gaussian(prior=VampPrior([3], [5], None, 3), conditional=True, num_classes=2)
    with pytest.raises(UserError, match=r"^model\.prior\.num_components must be at least 1, got 0"):
        VampPrior([2], [5], None, 0)
