"""PixelCNN by Table 1 and Figure 5 of van den Oord et al. 2016 (arXiv:1601.06759)."""

import pytest
import torch
from torch import Tensor

from genmodels.distributions import Categorical
from genmodels.models import PixelCNN
from golden.fixed import filled, images
from golden.masks import State, masked_conv, output_layers
from golden.scores import categorical

LEVELS = 4


def _by_the_paper(w: State, x: Tensor, colours: int) -> Tensor:
    h = masked_conv(w, "first", 2 * x.double() / (LEVELS - 1) - 1, "A", colours)
    for block in ("blocks.0", "blocks.1"):
        inside = masked_conv(w, f"{block}.narrow", h.relu(), "B", colours)
        inside = masked_conv(w, f"{block}.look", inside.relu(), "B", colours)
        h = h + masked_conv(w, f"{block}.widen", inside.relu(), "B", colours)
    return output_layers(w, h, colours)


@pytest.mark.parametrize("colours", [1, 3])
def test_conditionals_and_likelihood_are_the_papers(colours: int) -> None:
    shape = (colours, 5, 6)
    model = filled(PixelCNN(shape, Categorical(shape, LEVELS), 2, 5, 7))
    w, x = model.state_dict(), images(shape, LEVELS)
    width, output_width = {1: (5, 7), 3: (6, 9)}[colours]
    assert w["first.weight"].shape == (2 * width, colours, 4, 7)  # of 7x7 the rows below the pixel are left out
    assert w["blocks.1.look.weight"].shape == (width, width, 2, 3)
    assert [w[f"output.{layer}.weight"].shape[0] for layer in range(3)] == [output_width] * 2 + [colours * LEVELS]
    expected = _by_the_paper(w, x, colours)
    torch.testing.assert_close(model.conditionals(x), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.log_prob(x), categorical(expected, x), rtol=1e-10, atol=1e-10)


def test_weights_start_as_torchs_convolutions_do() -> None:
    """Our own choice, the paper names none: uniform up to one over the root of what a masked kernel could see."""
    torch.manual_seed(0)
    shape = (3, 8, 8)
    w = PixelCNN(shape, Categorical(shape, LEVELS), 1, 30, 60).state_dict()
    for name in [name.removesuffix(".weight") for name in w if name.endswith(".weight")]:
        weight, bias = w[f"{name}.weight"], w[f"{name}.bias"]
        bound = weight[0].numel() ** -0.5
        assert 0.9 * bound < float(weight.abs().max()) <= bound, name
        assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.1), name
        assert 0.5 * bound < float(bias.abs().max()) <= bound, name
