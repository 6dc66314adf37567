"""MAF with a mixture MADE as its base, by Papamakarios et al. 2017 and `MaskedAutoregressiveFlow_on_MADE`."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from genmodels.models import MAF, MAFMoG
from golden.fixed import filled, images
from golden.made_network import log_mixture, logit_of_pixels, made
from golden.running import with_running_averages


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("layers", [1, 2])
def test_vectors(layers: int, activation: str) -> None:
    """The order of the base is the reverse of the last MADE's."""
    model = filled(MAFMoG((4,), None, layers, num_components=3, width=7, activation=activation))  # type: ignore[arg-type]
    with_running_averages(model)
    x = torch.sin(torch.arange(12, dtype=torch.float64)).view(3, 4)
    expected = _log_p(model, "bijection.bijections.", 0, x, layers, getattr(torch, activation))
    torch.testing.assert_close(model.log_prob(x), expected, rtol=1e-10, atol=1e-10)


def test_images() -> None:
    shape, levels = (1, 2, 3), 17
    model = with_running_averages(filled(MAFMoG(shape, levels, 1, num_components=2, width=30, alpha=0.05)))
    x = images(shape, levels, count=3)
    torch.manual_seed(3)
    log_p = model.log_prob(x)
    torch.manual_seed(3)
    v, log_volume = logit_of_pixels(x, torch.rand(x.shape, dtype=torch.float64), levels, 0.05)
    expected = _log_p(model, "bijection.inner.bijections.", 1, v, 1) + log_volume
    torch.testing.assert_close(log_p, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", [MAF, MAFMoG])
def test_random_degrees_are_those_of_every_network(kind: type[MAF]) -> None:
    """What they are is tested of MADE."""
    torch.manual_seed(0)
    w = kind((6,), None, num_layers=3, width=40, degrees="random").state_dict()
    degrees = [value for name, value in w.items() if name.endswith("degrees0")]
    sequential = (torch.arange(40) % 5 + 1).sort().values
    assert len(degrees) == {MAF: 3, MAFMoG: 4}[kind]
    assert not any(torch.equal(of_layer, sequential) for of_layer in degrees)


def _log_p(
    model: MAFMoG, steps: str, first: int, x: Tensor, layers: int, activation: Callable[[Tensor], Tensor] = torch.relu
) -> Tensor:
    w = model.state_dict()
    order = list(range(x.shape[1]))
    log_det = torch.zeros(len(x), dtype=x.dtype)
    for layer in range(layers):
        made_name, norm = f"{steps}{first + 2 * layer}.net", f"{steps}{first + 2 * layer + 1}"
        mean, log_variance = made(w, made_name, x, order, activation).unbind(dim=1)
        x = (x - mean) / torch.exp(log_variance / 2)
        deviation = torch.sqrt(w[f"{norm}.running_var"] + 1e-5)
        x = w[f"{norm}.gamma"].exp() * (x - w[f"{norm}.running_mean"]) / deviation + w[f"{norm}.beta"]
        log_det = log_det - log_variance.sum(dim=1) / 2 + (w[f"{norm}.gamma"] - deviation.log()).sum()
        order.reverse()
    return log_det + log_mixture(made(w, "base.net", x, order, activation), x)


def test_initial_values() -> None:
    """5 MADEs and 10 components; the mixture's output biases are N(0, 1), all other biases 0."""
    torch.manual_seed(0)
    w = MAFMoG((20,), None, width=40).state_dict()
    assert sum(name.endswith("gamma") for name in w) == 5
    biases = {name: value for name, value in w.items() if name.endswith("bias")}
    of_mixture = biases.pop("base.net.layers.2.bias")
    assert of_mixture.shape == (3 * 10 * 20,)
    assert float(of_mixture.std()) == pytest.approx(1, rel=0.1)
    assert not any(value.any() for value in biases.values())
