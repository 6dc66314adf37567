"""MADE on real values, Gaussian and mixture, by Papamakarios et al. 2017 (arXiv:1705.07057) and its official code."""

import math

import pytest
import torch

from genmodels.models import MADE
from golden.fixed import filled, images
from golden.made_network import log_mixture, log_normal, logit_of_pixels, made

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("num_hidden", [1, 2, 3])
def test_gaussian(activation: str, num_hidden: int) -> None:
    """`GaussianMade`: u = exp(logp / 2) (x - m), of which v = -logp, and half of logp is the log-determinant."""
    model = filled(MADE((4,), None, num_hidden=num_hidden, width=7, activation=activation))  # type: ignore[arg-type]
    x = torch.linspace(-2, 2, 12, dtype=torch.float64).view(3, 4)
    params = made(model.state_dict(), "bijection.bijections.0.net", x, range(4), ACTIVATIONS[activation])
    mean, log_variance = params[:, 0], params[:, 1]
    u = torch.exp(-0.5 * log_variance) * (x - mean)
    torch.testing.assert_close(model.encode(x), u, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.log_prob(x), log_normal(u) - 0.5 * log_variance.sum(dim=1), rtol=1e-10, atol=1e-10)


def test_mixture() -> None:
    """`MixtureOfGaussiansMade`."""
    model = filled(MADE((4,), None, num_components=3, num_hidden=2, width=7))
    x = torch.linspace(-2, 2, 12, dtype=torch.float64).view(3, 4)
    expected = log_mixture(made(model.state_dict(), "base.net", x, range(4)), x)
    torch.testing.assert_close(model.log_prob(x), expected, rtol=1e-10, atol=1e-10)
    assert torch.equal(model.encode(x), x)


@pytest.mark.parametrize("num_components", [1, 2])
def test_images(num_components: int) -> None:
    shape, levels = (2, 2, 3), 17
    model = filled(MADE(shape, levels, num_components=num_components, width=30, alpha=0.05))
    w, x = model.state_dict(), images(shape, levels, count=3)
    torch.manual_seed(3)
    log_p = model.log_prob(x)
    torch.manual_seed(3)
    v, log_volume = logit_of_pixels(x, torch.rand(x.shape, dtype=torch.float64), levels, 0.05)
    if num_components == 1:
        mean, log_variance = made(w, "bijection.inner.bijections.1.net", v, range(12)).unbind(dim=1)
        expected = log_normal((v - mean) * torch.exp(-log_variance / 2)) - log_variance.sum(dim=1) / 2
    else:
        expected = log_mixture(made(w, "base.net", v, range(12)), v)
    torch.testing.assert_close(log_p, expected + log_volume, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("num_components", [1, 4])
def test_initial_values(num_components: int) -> None:
    """`create_weights`: N(0, 1) / sqrt(fan-in + 1) and biases 0; with mixtures the output's are N(0, 1)."""
    torch.manual_seed(0)
    model = MADE((60,), None, num_components=num_components, width=80)
    net = "bijection.bijections.0.net" if num_components == 1 else "base.net"
    w = model.state_dict()
    for layer in range(3):
        weight, bias = w[f"{net}.layers.{layer}.weight"], w[f"{net}.layers.{layer}.bias"]
        assert float(weight.std()) == pytest.approx(1 / math.sqrt(weight.shape[1] + 1), rel=0.03)
        assert float(weight.abs().max()) > 3 / math.sqrt(weight.shape[1] + 1)  # no uniform distribution
        if num_components > 1 and layer == 2:
            assert float(bias.std()) == pytest.approx(1, rel=0.1)
        else:
            assert not bias.any()


def test_random_degrees() -> None:
    """`create_degrees`: uniform from the smallest of the layer below to D - 1."""
    torch.manual_seed(0)
    model = filled(MADE((6,), None, num_hidden=2, width=200, degrees="random"))
    w, net = model.state_dict(), "bijection.bijections.0.net"
    degrees = [w[f"{net}.degrees0"], w[f"{net}.degrees1"]]
    for of_layer in degrees:
        counts = torch.bincount(of_layer, minlength=6)
        assert counts[0] == 0
        assert len(counts) == 6
        assert (counts[1:] > 20).all()
    x = torch.linspace(-2, 2, 12, dtype=torch.float64).view(2, 6)
    mean, log_variance = made(w, net, x, range(6), degrees=degrees).unbind(dim=1)
    torch.testing.assert_close(model.encode(x), (x - mean) * torch.exp(-log_variance / 2), rtol=1e-10, atol=1e-10)


def test_random_degrees_begin_at_the_smallest_of_the_layer_below() -> None:
    """Of one unit: two layers of one unit each never lose the way from the inputs to the outputs."""
    for seed in range(20):
        torch.manual_seed(seed)
        w = MADE((6,), None, num_hidden=2, width=1, degrees="random").state_dict()
        assert w["bijection.bijections.0.net.degrees0"] <= w["bijection.bijections.0.net.degrees1"]
