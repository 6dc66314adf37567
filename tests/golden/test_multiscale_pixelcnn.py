"""The parallel multiscale PixelCNN by its docstring (Reed et al. 2017, arXiv:1703.03664), block after block."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.distributions import Categorical
from genmodels.models import MultiscalePixelCNN
from golden.fixed import filled, images
from golden.masks import State, masked_conv, output_layers
from golden.scores import categorical

LEVELS, BASE, SIDE = 4, 2, 8


def _smallest(w: State, v: Tensor, colours: int) -> Tensor:
    """A PixelCNN with one residual block."""
    of_base = {name.removeprefix("base."): value for name, value in w.items() if name.startswith("base.")}
    h = masked_conv(of_base, "first", v, "A", colours)
    inside = masked_conv(of_base, "blocks.0.narrow", h.relu(), "B", colours)
    inside = masked_conv(of_base, "blocks.0.look", inside.relu(), "B", colours)
    h = h + masked_conv(of_base, "blocks.0.widen", inside.relu(), "B", colours)
    return output_layers(of_base, h, colours)


def _conv3x3(w: State, name: str, x: Tensor) -> Tensor:
    return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=1)


def _group(w: State, name: str, earlier: list[Tensor], own: Tensor, colours: int) -> Tensor:
    """Parameters of one corner of all blocks from the earlier corners and, colour by colour, from itself."""
    h = _conv3x3(w, f"{name}.first", torch.cat(earlier, dim=1))
    for block in ("blocks.0", "blocks.1"):
        inside = _conv3x3(w, f"{name}.{block}.first", h.relu())
        h = h + _conv3x3(w, f"{name}.{block}.second", inside.relu())
    if colours > 1:
        h = h + masked_conv(w, f"{name}.own", own, "A", colours)
    h = masked_conv(w, f"{name}.mixed", h.relu(), "B", colours)
    return masked_conv(w, f"{name}.output", h.relu(), "B", colours)


def _by_the_paper(w: State, x: Tensor, colours: int) -> Tensor:
    v = 2 * x.double() / (LEVELS - 1) - 1
    params = torch.empty(len(x), LEVELS * colours, SIDE, SIDE, dtype=v.dtype)
    params[:, :, ::4, ::4] = _smallest(w, v[:, :, ::4, ::4], colours)
    group = 0
    for block in (4, 2):  # of the side of a block of four corners, in pixels of the image
        half = block // 2
        one, two = v[:, :, ::block, ::block], v[:, :, ::block, half::block]
        three, four = v[:, :, half::block, ::block], v[:, :, half::block, half::block]
        params[:, :, ::block, half::block] = _group(w, f"groups.{group}", [one], two, colours)
        params[:, :, half::block, ::block] = _group(w, f"groups.{group + 1}", [one, two], three, colours)
        params[:, :, half::block, half::block] = _group(w, f"groups.{group + 2}", [one, two, three], four, colours)
        group += 3
    return params


@pytest.mark.parametrize("colours", [1, 3])
def test_conditionals_and_likelihood_are_the_papers(colours: int) -> None:
    shape = (colours, SIDE, SIDE)
    model = filled(MultiscalePixelCNN(shape, Categorical(shape, LEVELS), BASE, 1, 2, 10))
    w, x = model.state_dict(), images(shape, LEVELS)
    assert len(model.groups) == 6
    expected = _by_the_paper(w, x, colours)
    torch.testing.assert_close(model.conditionals(x), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.log_prob(x), categorical(expected, x), rtol=1e-10, atol=1e-10)
