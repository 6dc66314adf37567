"""IAF by Kingma et al. 2016 (arXiv:1606.04934), Equations 8 to 11: each layer conditions on the noise it takes in."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from genmodels.models import IAF
from golden.fixed import filled, images
from golden.made_network import State, log_normal, logit_of_pixels, made

LAYERS = 4  # even: of an odd number the orders are the same from both ends


def _data(
    w: State, u: Tensor, activation: Callable[[Tensor], Tensor] = torch.relu, context: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """x of noise u, and log p(x). Layer 0 acts last; it and every second one have the natural order."""
    log_p = log_normal(u)
    for layer in reversed(range(LAYERS)):
        order = list(range(u.shape[1]))[:: -1 if layer % 2 else 1]
        net = f"bijection.bijections.{layer}.bijection.net"
        mean, log_variance = made(w, net, u, order, activation, context=context).unbind(dim=1)
        u = (u - mean) * torch.exp(-log_variance / 2)
        log_p = log_p + log_variance.sum(dim=1) / 2
    return u, log_p


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_vectors(activation: str) -> None:
    model = filled(IAF((4,), None, num_layers=LAYERS, width=7, activation=activation))  # type: ignore[arg-type]
    w, function = model.state_dict(), getattr(torch, activation)
    torch.manual_seed(3)
    drawn, log_p = model.sample_with_log_prob(5)
    torch.manual_seed(3)
    x, expected = _data(w, torch.randn(5, 4, dtype=torch.float64), function)
    torch.testing.assert_close(drawn, x, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(log_p, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.log_prob(x), expected, rtol=1e-9, atol=1e-9)


def test_classes() -> None:
    model = filled(IAF((4,), None, num_layers=LAYERS, width=7, conditional=True, num_classes=3))
    u, y = torch.sin(torch.arange(12, dtype=torch.float64)).view(3, 4), torch.tensor([2, 0, 1])
    x, expected = _data(model.state_dict(), u, context=torch.eye(3, dtype=torch.float64)[y])
    torch.testing.assert_close(model.decode(u, y), x, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.log_prob(x, y), expected, rtol=1e-9, atol=1e-9)


def test_images() -> None:
    """Noise is found one dimension after the other."""
    shape, levels = (1, 2, 3), 17
    model = filled(IAF(shape, levels, num_layers=1, width=30, alpha=0.05))
    w, x = model.state_dict(), images(shape, levels, count=3)
    torch.manual_seed(3)
    log_p = model.log_prob(x)
    torch.manual_seed(3)
    v, log_volume = logit_of_pixels(x, torch.rand(x.shape, dtype=torch.float64), levels, 0.05)
    u = torch.zeros_like(v)
    for i in range(6):
        mean, log_variance = made(w, "bijection.inner.bijections.1.bijection.net", u, range(6)).unbind(dim=1)
        u[:, i] = mean[:, i] + torch.exp(log_variance[:, i] / 2) * v[:, i]
    expected = log_normal(u) + log_variance.sum(dim=1) / 2 + log_volume
    torch.testing.assert_close(log_p, expected, rtol=1e-10, atol=1e-10)


def test_initial_values() -> None:
    """As of MAF's MADEs, see `test_made`: no bias."""
    w = IAF((4,), None).state_dict()
    hidden = [w[f"bijection.bijections.4.bijection.net.layers.{layer}.weight"].shape for layer in range(3)]
    assert hidden == [(100, 4), (100, 100), (8, 100)]
    assert not any(value.any() for name, value in w.items() if name.endswith("bias"))
