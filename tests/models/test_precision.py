"""In bf16-mixed networks run in bfloat16; log-determinants, latents' densities and likelihoods stay in float32.

A network's numbers are off by up to 2^-9 of themselves, to either side, and hardly move the mean of a density; what
moves it by more has been rounded where it must not be. Parameters are moved from their start, where most networks give
nought.
"""

import pytest
import torch
from model_configs import data_node, model_node
from torch import Tensor, nn

from genmodels.bijections import QR, ActNormConv1x1, Bijection, InvertibleConv1x1
from genmodels.config.targets import build
from genmodels.distributions import Bernoulli, Categorical, DiscretizedLogistic, Gaussian, Likelihood
from genmodels.models.vaes.full_covariance import FullCovariance
from genmodels.models.vaes.posterior import Diagonal
from genmodels.networks.lipschitz import LipschitzConv2d

TOLERANCE = 0.001  # of log p, in the mean over a batch
FLOWS = ["nice_small", "realnvp_small", "glow_small", "flowpp_small", "tarflow_small"]
PIXEL_BY_PIXEL = ["made_image_small", "pixelcnn_small", "pixelcnnpp_small", "gpt_small"]
LATENT_VARIABLES = ["vae_small", "vae_2layer_small", "iaf_vae_small"]
SLOW = ("residual_flow_small", "ffjord_small", "cnf_small")
KINDS = [*FLOWS, *PIXEL_BY_PIXEL, *LATENT_VARIABLES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


def lower() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


def moved(module: nn.Module, scale: float) -> None:
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn_like(parameter))


@pytest.mark.parametrize("name", KINDS)
def test_densities_agree_with_those_of_float32(name: str) -> None:
    torch.manual_seed(0)
    data = data_node("digits")
    model = build(model_node(name, data), "model").eval()
    moved(model, 0.02)
    x = torch.randint(17, (16, 1, 8, 8), dtype=torch.uint8)
    found = []
    for context in (torch.autocast("cpu", enabled=False), lower()):
        torch.manual_seed(1)
        with context, torch.no_grad():
            found.append(model.log_prob(x))
    full, mixed = found
    assert mixed.dtype == torch.float32
    assert not torch.equal(full, mixed), "nothing ran in bfloat16"
    assert float(mixed.mean()) == pytest.approx(float(full.mean()), rel=TOLERANCE)


@pytest.mark.parametrize(
    "bijection", [InvertibleConv1x1(8), InvertibleConv1x1(8, lu=False), ActNormConv1x1(8), QR(8)], ids=lambda b: repr(b)
)
def test_the_matrix_that_is_applied_is_the_one_whose_log_determinant_is_told(bijection: Bijection) -> None:
    moved(bijection, 0.1)
    x = torch.randn(4, 8) if isinstance(bijection, QR) else torch.randn(4, 8, 2, 2)
    expected, expected_log_det = bijection(x)
    with lower():
        z, log_det = bijection(x)
    torch.testing.assert_close(z, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(log_det, expected_log_det)


@pytest.mark.parametrize("posterior", [Diagonal(8), FullCovariance(8)], ids=lambda p: type(p).__name__)
def test_latents_are_drawn_and_scored_in_float32(posterior: Diagonal | FullCovariance) -> None:
    """A draw gets the density that q has there, to float32's digits, from features of bfloat16."""
    torch.manual_seed(0)
    features = 0.5 * torch.randn(16, posterior.num_features).bfloat16()
    with lower():
        z, log_q = posterior.sample(features)
        again = posterior(z, features)
    exact = posterior(z.double(), features.double())
    torch.testing.assert_close(log_q, exact.float(), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(again, exact.float(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("likelihood", "levels"),
    [
        (Bernoulli((1, 4, 4), 2), 2),
        (Categorical((1, 4, 4), 17), 17),
        (DiscretizedLogistic((1, 4, 4), 17), 17),
        (Gaussian((16,), None), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_likelihoods_of_networks_of_bfloat16_are_of_float32(likelihood: Likelihood, levels: int | None) -> None:
    torch.manual_seed(0)
    params = torch.randn(8, *likelihood.params_shape).bfloat16()
    x: Tensor = torch.randn(8, 16) if levels is None else torch.randint(levels, (8, 1, 4, 4))
    with lower():
        found = likelihood.of_draws(params, x)
    torch.testing.assert_close(found, likelihood.of_draws(params.float(), x))


def test_a_bound_in_evaluation_is_the_same_in_both_and_can_be_asked_for_in_either() -> None:
    """The direction of the largest stretch is kept, whichever asked first."""
    torch.manual_seed(0)
    layer = LipschitzConv2d(2, 4, 3, (6, 6), bound=0.1).eval()
    with torch.no_grad():
        with lower():
            mixed = layer.normalized()
        torch.testing.assert_close(layer.normalized(), mixed, rtol=1e-6, atol=0)
