"""Each paper's squeeze order, against the index formula it is defined by."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from genmodels.bijections import squeeze, unsqueeze

C = 3
FORMULAS = {
    "channel_major": lambda c, dy, dx: 4 * c + 2 * dy + dx,
    "space_to_depth": lambda c, dy, dx: C * (2 * dy + dx) + c,
    "diagonal": lambda c, dy, dx: C * {(0, 0): 0, (1, 1): 1, (0, 1): 2, (1, 0): 3}[dy, dx] + c,
}


@pytest.mark.parametrize("order", FORMULAS)
def test_every_pixel_lands_where_the_formula_says(order: str) -> None:
    x = torch.arange(2 * C * 4 * 6.0).view(2, C, 4, 6)
    z = squeeze(x, order)
    assert z.shape == (2, 4 * C, 2, 3)
    for c, row, column in itertools.product(range(C), range(4), range(6)):
        channel = FORMULAS[order](c, row % 2, column % 2)
        assert torch.equal(z[:, channel, row // 2, column // 2], x[:, c, row, column])
    assert torch.equal(unsqueeze(z, order), x)


def test_channel_major_is_pixel_unshuffle() -> None:
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(squeeze(x), F.pixel_unshuffle(x, 2))


def test_diagonal_first_half_is_one_colour_of_the_checkerboard() -> None:
    rows, columns = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
    colour = ((rows + columns) % 2).float().expand(1, 2, 4, 4)
    first, second = squeeze(colour, "diagonal").chunk(2, dim=1)
    assert (first == 0).all()
    assert (second == 1).all()
