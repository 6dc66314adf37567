"""MADE on images by Equations 8 to 13 of Germain et al. 2015 (arXiv:1502.03509), unit after unit."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from genmodels.distributions import Bernoulli, Categorical
from genmodels.models import ImageMADE
from golden.fixed import filled, images

COLOURS, HEIGHT, WIDTH, ORDERS = 2, 2, 3, 3
SHAPE, FEATURES = (COLOURS, HEIGHT, WIDTH), COLOURS * HEIGHT * WIDTH


def _layer(weight: Tensor, bias: Tensor, x: Tensor, below: list[int], above: list[int], strictly: bool) -> Tensor:
    """Unit o sees unit i if its degree is as large at least, or larger."""
    out = bias.expand(len(x), -1).clone()
    for o, i in itertools.product(range(len(above)), range(len(below))):
        if above[o] > below[i] or (not strictly and above[o] == below[i]):
            out[:, o] += weight[o, i] * x[:, i]
    return out


def _log_p(w: dict[str, Tensor], k: int, x: Tensor, levels: int, activation: str) -> Tensor:
    """log p_k(x): [B]."""
    pixels = x.flatten(1)
    v = pixels.double() / (levels - 1)
    inputs, first, second = (w[f"net.{name}"][k].tolist() for name in ("places", "degrees0", "degrees1"))
    curve = {"relu": torch.relu, "tanh": torch.tanh}[activation]
    h = curve(_layer(w["net.layers.0.weight"], w["net.layers.0.bias"], v, inputs, first, False))
    h = curve(_layer(w["net.layers.1.weight"], w["net.layers.1.bias"], h, first, second, False))
    outputs_of_a_pixel = len(w["net.layers.2.weight"]) // FEATURES
    outputs = inputs * outputs_of_a_pixel
    params = _layer(w["net.layers.2.weight"], w["net.layers.2.bias"], h, second, outputs, True)
    if "net.direct.weight" in w:
        params = params + _layer(w["net.direct.weight"], v.new_zeros(len(outputs)), v, inputs, outputs, True)
    score = torch.zeros(len(x), dtype=params.dtype)
    for i in range(FEATURES):
        if outputs_of_a_pixel == 1:
            one = torch.sigmoid(params[:, i])
            score = score + torch.where(pixels[:, i] == 1, one, 1 - one).log()
        else:
            # Parameters are images again, [values * colours, H, W]: those of a sub-pixel lie FEATURES apart.
            logits = params[:, i::FEATURES]
            score = score + logits.log_softmax(dim=1).gather(1, pixels[:, i, None])[:, 0]
    return score


@pytest.mark.parametrize("levels", [2, 4])
@pytest.mark.parametrize(("direct", "activation"), [(True, "relu"), (False, "tanh")])
def test_the_likelihood_is_the_mean_of_those_of_the_papers_networks(levels: int, direct: bool, activation: str) -> None:
    torch.manual_seed(0)
    likelihood = Bernoulli(SHAPE, levels) if levels == 2 else Categorical(SHAPE, levels)
    model = filled(ImageMADE(SHAPE, likelihood, (9, 11), ORDERS, direct, activation))
    w, x = model.state_dict(), images(SHAPE, levels, count=4)
    each = torch.stack([_log_p(w, k, x, levels, activation) for k in range(ORDERS)])
    assert (each[0] - each[1]).abs().min() > 1e-3
    expected = each.exp().mean(dim=0).log()
    torch.testing.assert_close(model.log_prob(x), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.member(1).log_prob(x), each[1], rtol=1e-10, atol=1e-10)
    model.train()
    torch.manual_seed(3)
    chosen = int(torch.randint(ORDERS, ()))
    torch.manual_seed(3)
    torch.testing.assert_close(model.log_prob(x), each[chosen], rtol=1e-10, atol=1e-10)


def test_orders_and_degrees_are_drawn_as_in_the_paper() -> None:
    """Degrees of inputs are the places 1 .. D in a random order; those of hidden units uniform from the smallest of the
    layer below to D - 1, so that none is left without a connection."""
    torch.manual_seed(0)
    shape, orders = (1, 2, 3), 500
    w = ImageMADE(shape, Bernoulli(shape, 2), (2, 40), orders).state_dict()
    assert (w["net.places"].sort(dim=1).values == torch.arange(1, 7)).all()
    first, second = w["net.degrees0"], w["net.degrees1"]

    def check_uniform(degrees: Tensor, smallest: int) -> None:
        share = torch.bincount(degrees.flatten(), minlength=7)[1:] / degrees.numel()
        expected = torch.tensor([1 / (6 - smallest) if smallest <= degree < 6 else 0.0 for degree in range(1, 7)])
        margin = 4.5 * (expected * (1 - expected) / degrees.numel()).sqrt()
        assert ((share - expected).abs() <= margin).all()

    check_uniform(first, 1)
    for smallest in range(1, 6):
        check_uniform(second[first.min(dim=1).values == smallest], smallest)
    # Every dimension is as often at every place.
    counts = torch.nn.functional.one_hot(w["net.places"].long() - 1, 6).sum(dim=0) / orders
    assert (counts - 1 / 6).abs().max() < 4.5 * math.sqrt(1 / 6 * 5 / 6 / orders)


def test_weights_start_normal_with_the_deviation_that_the_docstring_of_the_layer_gives() -> None:
    """N(0, 1) / sqrt(inputs + 1), biases nought."""
    torch.manual_seed(0)
    shape = (1, 1, 3)  # few inputs, for which the 1 counts
    model = ImageMADE(shape, Bernoulli(shape, 2), (1000, 1000), 1)
    for name, parameter in model.net.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        else:
            expected = (parameter.shape[1] + 1) ** -0.5
            assert parameter.std().item() == pytest.approx(expected, rel=5 / math.sqrt(2 * parameter.numel())), name
