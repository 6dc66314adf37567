"""NICE by Sections 3 and 5.1 of Dinh et al. 2015 (arXiv:1410.8516) and its official code (laurent-dinh/nice)."""

import math

import pytest
import torch
from torch import Tensor

from genmodels.models import NICE
from genmodels.networks.data_init import initialize
from golden.fixed import filled, images

LEVELS = 17


def _mlp(w: dict[str, Tensor], net: str, h: Tensor, num_hidden: int) -> Tensor:
    for layer in range(num_hidden):
        h = torch.relu(h @ w[f"{net}.{2 * layer}.weight"].T + w[f"{net}.{2 * layer}.bias"])
    return h @ w[f"{net}.{2 * num_hidden}.weight"].T + w[f"{net}.{2 * num_hidden}.bias"]


def _latents(w: dict[str, Tensor], v: Tensor, flow: str, num_couplings: int, num_hidden: int) -> Tensor:
    """exp(s) (h1, h2), [B, D], of the even and the odd dimensions, which add to each other in turn."""
    even, odd = v[:, ::2], v[:, 1::2]
    for coupling in range(num_couplings):
        net = f"{flow}.bijections.{coupling + 1}.net.layers"
        if coupling % 2 == 0:
            odd = odd + _mlp(w, net, even, num_hidden)
        else:
            even = even + _mlp(w, net, odd, num_hidden)
    return torch.cat((even, odd), dim=1) * w[f"{flow}.bijections.{num_couplings + 1}.log_scale"].exp()


def _log_scales(w: dict[str, Tensor]) -> Tensor:
    (scales,) = (value for name, value in w.items() if name.endswith("log_scale"))
    return scales.sum()


@pytest.mark.parametrize("prior", ["logistic", "normal"])
def test_images(prior: str) -> None:
    """Of an odd number of pixels: the even ones are more."""
    shape = (1, 3, 5)
    model = filled(NICE(shape, LEVELS, num_couplings=4, num_hidden=2, width=6, prior=prior))  # type: ignore[arg-type]
    w, x = model.state_dict(), images(shape, LEVELS)
    torch.manual_seed(3)
    log_p = model.log_prob(x)
    torch.manual_seed(3)
    u = torch.rand(x.shape, dtype=torch.float64)
    z = _latents(w, ((x + u) / LEVELS).flatten(1), "bijection.inner", 4, 2)
    if prior == "logistic":
        density = torch.exp(-z) / (1 + torch.exp(-z)) ** 2
    else:
        density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    expected = density.log().sum(dim=1) + _log_scales(w) - 15 * math.log(LEVELS)
    torch.testing.assert_close(log_p, expected, rtol=1e-10, atol=1e-10)


def test_latents_of_images_lie_even_pixels_first() -> None:
    shape = (2, 3, 2)
    model = filled(NICE(shape, LEVELS, num_couplings=3, num_hidden=1, width=5))
    x = images(shape, LEVELS)
    expected = _latents(model.state_dict(), ((x.double() + 0.5) / LEVELS).flatten(1), "bijection.inner", 3, 1)
    z = model.encode(x)
    torch.testing.assert_close(z, expected.view(2, *shape), rtol=1e-10, atol=1e-10)
    assert torch.equal(model.decode(z), x.to(torch.uint8))


def test_vectors() -> None:
    model = filled(NICE((5,), None, num_couplings=2, num_hidden=3, width=6))
    w, x = model.state_dict(), torch.linspace(-2, 2, 10, dtype=torch.float64).view(2, 5)
    z = _latents(w, x, "bijection", 2, 3)
    expected = torch.log(torch.exp(-z) / (1 + torch.exp(-z)) ** 2).sum(dim=1) + _log_scales(w)
    torch.testing.assert_close(model.log_prob(x), expected, rtol=1e-10, atol=1e-10)


def test_initial_weights() -> None:
    """`irange: 0.01` of the official `exp/nice_mnist.yaml`: uniform in (-0.01, 0.01), biases and log-scales 0."""
    torch.manual_seed(0)
    model = NICE((6, 8, 8), LEVELS)
    for name, value in model.state_dict().items():
        if name.endswith(("order", "initialized")):
            continue
        if value.dim() == 2:
            largest = float(value.abs().max())
            assert 0.0099 < largest <= 0.01, name
            assert float(value.std()) == pytest.approx(0.02 / math.sqrt(12), rel=0.01), name
        else:
            assert not value.any(), name
    hidden = [tuple(v.shape) for name, v in model.state_dict().items() if ".1.net." in name and v.dim() == 2]
    assert hidden == [(1000, 192), *[(1000, 1000)] * 4, (192, 1000)]


def test_scales_start_where_the_first_batch_has_variance_1() -> None:
    model = filled(NICE((4,), None, num_couplings=2, num_hidden=1, width=6))
    w, x = model.state_dict(), torch.linspace(-2, 2, 40, dtype=torch.float64).view(10, 4) ** 3
    unscaled = _latents(w | {"bijection.bijections.3.log_scale": torch.zeros(4)}, x, "bijection", 2, 1)
    initialize(model, lambda: model.log_prob(x))
    expected = -0.5 * torch.log(unscaled.var(dim=0, correction=0))
    torch.testing.assert_close(model.state_dict()["bijection.bijections.3.log_scale"], expected)
