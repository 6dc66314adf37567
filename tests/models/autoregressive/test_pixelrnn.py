"""What is special to PixelRNN: which pixels its two layers reach, and its size."""

import pytest
import torch
from torch import Tensor

from genmodels.distributions import Bernoulli, Categorical
from genmodels.errors import UserError
from genmodels.models import PixelRNN


def _reached(model: PixelRNN, row: int, column: int) -> Tensor:
    """[C, H, W] of bool: the values that the parameters of a pixel depend on."""
    x = torch.randn(8, *model.shape, dtype=torch.double, requires_grad=True)
    (grad,) = torch.autograd.grad((model.conditionals(x)[:, :, row, column] ** 2).sum(), x)
    return (grad != 0).any(dim=0)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_the_row_lstm_reaches_a_triangle(num_layers: int) -> None:
    torch.manual_seed(0)
    shape = (1, 6, 24)
    model = PixelRNN(shape, Bernoulli(shape, 2), "row", num_layers, 6, 12).double()
    row, column = 5, 12
    columns = torch.arange(24)
    expected = torch.zeros(6, 24, dtype=torch.bool)
    # The first layer sees 3 pixels to both sides, of its own row to the left alone; every input-to-state convolution
    # one more to the left; every row that the state goes down one more to both sides.
    left = 3 + num_layers
    expected[row] = (columns >= column - left) & (columns < column)
    for above in range(1, 6):
        # Of the rows above, the first is crossed by the first layer: it sees nothing to its right in its own row.
        expected[row - above] = (columns >= column - left - above) & (columns <= column + 3 + above - 1)
    assert torch.equal(_reached(model, row, column)[0], expected)


@pytest.mark.parametrize("colours", [1, 3])
def test_the_diagonal_lstm_reaches_all_that_is_past_but_the_end_of_the_row_above(colours: int) -> None:
    """A pixel's features are without its own last colour, so of the row above the LSTM to the left brings all but the
    last pixel's; the first layer alone sees that, from 3 columns away."""
    torch.manual_seed(0)
    height, width = 4, 7
    shape = (colours, height, width)
    model = PixelRNN(shape, Categorical(shape, 3), "diagonal", 1, 24, 24).double()
    raster = torch.arange(height * width).view(height, width)
    for row in range(height):
        for column in range(width):
            expected = (raster < raster[row, column]).expand(colours, -1, -1).clone()
            expected[: colours - 1, row, column] = True
            if row > 0 and column + 3 < width - 1:
                expected[-1, row - 1, width - 1] = False
            assert torch.equal(_reached(model, row, column), expected), (row, column)


@pytest.mark.parametrize("layer", ["row", "diagonal"])
@pytest.mark.parametrize("skip", [False, True])
def test_number_of_parameters_at_the_size_for_cifar10(layer: str, skip: bool) -> None:
    shape = (3, 32, 32)
    with torch.device("meta"):
        model = PixelRNN(shape, Categorical(shape, 256), layer, 12, 128, 1024, skip=skip)
    h, out, values = 129, 1026, 768  # rounded up to multiples of 3
    first = 2 * h * (3 * 4 * 7 + 1)
    row = 4 * h * (2 * 2 * h + 1) + 4 * h * 3 * h + 2 * h
    diagonal = 2 * (4 * h * (2 * h + 1) + 4 * h * 2 * h + 2 * h)
    widen = 2 * h * (h + 1)
    output = out * (2 * h + 1) + out * (out + 1) + values * (out + 1)
    layers = 12 * ((row if layer == "row" else diagonal) + widen + skip * widen)
    assert sum(parameter.numel() for parameter in model.parameters()) == first + layers + output


def test_without_residual_connections_the_first_layer_reaches_the_output_through_the_lstm_alone() -> None:
    shape = (1, 3, 3)
    model = PixelRNN(shape, Bernoulli(shape, 2), "row", 1, 4, 4, residual=False)
    with torch.no_grad():
        for parameter in model.lstms.parameters():
            parameter.zero_()
    x = torch.randint(0, 2, (2, *shape))
    params = model.conditionals(x)
    torch.testing.assert_close(params, params[:1, :, :1, :1].expand_as(params))
    model.residual = True
    assert model.conditionals(x).std() > 1e-4


def test_an_unknown_layer_is_a_mistake() -> None:
    with pytest.raises(UserError, match=r"model\.layer=column must be one of row, diagonal"):
        PixelRNN((1, 3, 3), Bernoulli((1, 3, 3), 2), "column")
