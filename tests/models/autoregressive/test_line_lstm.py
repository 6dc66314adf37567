"""The LSTM layers of PixelRNN against their recurrences, one pixel after another."""

import pytest
import torch
from torch import Tensor

from genmodels.models.autoregressive.diagonal_lstm import TO_LEFT, TO_RIGHT, DiagonalBiLSTM, diagonals
from genmodels.models.autoregressive.row_lstm import RowLSTM

Layer = RowLSTM | DiagonalBiLSTM


def _layer(kind: type[Layer], size: tuple[int, int], in_channels: int = 4, width: int = 3, colours: int = 1) -> Layer:
    torch.manual_seed(0)
    layer = kind(in_channels, width, colours, size).double()
    torch.nn.init.normal_(layer.state_to_state.start)
    return layer


def _cell(gates: Tensor, c_before: Tensor) -> tuple[Tensor, Tensor]:
    o, f, i, g = gates.chunk(4, dim=1)
    c = f.sigmoid() * c_before + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _row_lstm(layer: RowLSTM, x: Tensor) -> Tensor:
    """Section 3.1 as a loop over pixels."""
    batch, _, height, width = x.shape
    (h_start, c_start), (kernel,) = layer.state_to_state.start[:, 0], layer.state_to_state.weight
    left, here = layer.input_to_state.kernel().squeeze(2).unbind(2)
    outside = torch.zeros(batch, layer.state_to_state.width, dtype=x.dtype)
    h = {(-1, column): h_start.expand(batch, -1) for column in range(width)}
    c = {(-1, column): c_start.expand(batch, -1) for column in range(width)}
    for row in range(height):
        for column in range(width):
            gates = layer.input_to_state.bias + x[:, :, row, column] @ here.T
            if column > 0:
                gates = gates + x[:, :, row, column - 1] @ left.T
            above = [h.get((row - 1, column + k), outside) for k in (-1, 0, 1)]
            gates = gates + torch.cat(above, dim=1) @ kernel
            h[row, column], c[row, column] = _cell(gates, c[row - 1, column])
    return torch.stack([h[row, column] for row in range(height) for column in range(width)], dim=2).view(
        batch, -1, height, width
    )


def _diagonal_lstm(layer: DiagonalBiLSTM, x: Tensor) -> Tensor:
    """Section 3.2 as loops over pixels; the LSTM to the left on the mirrored map."""
    batch, _, height, width = x.shape
    every = layer.input_to_state.kernel()[:, :, 0, 0]
    states = []
    for direction in (TO_RIGHT, TO_LEFT):
        of_input, bias = every.chunk(2)[direction], layer.input_to_state.bias.chunk(2)[direction]
        kernel = layer.state_to_state.weight[direction]
        h_start, c_start = layer.state_to_state.start[:, direction]
        from_left = x if direction == TO_RIGHT else x.flip(3)
        h: dict[tuple[int, int], Tensor] = {}
        c: dict[tuple[int, int], Tensor] = {}
        for row in range(height):
            h[row, -1], c[row, -1] = h_start.expand(batch, -1), c_start.expand(batch, -1)
            for column in range(width):
                above = h[row - 1, column] if row else torch.zeros_like(h[row, -1])
                seen = torch.cat((above, h[row, column - 1]), dim=1)
                gates = from_left[:, :, row, column] @ of_input.T + bias + seen @ kernel
                h[row, column], c[row, column] = _cell(gates, c[row, column - 1])
        rows = [torch.stack([h[row, column] for column in range(width)], dim=2) for row in range(height)]
        states.append(torch.stack(rows, dim=2) if direction == TO_RIGHT else torch.stack(rows, dim=2).flip(3))
    to_right, to_left = states
    return to_right + torch.cat((torch.zeros_like(to_left[:, :, :1]), to_left[:, :, :-1]), dim=2)


SIZES = [(3, 5), (5, 3), (1, 4), (4, 1), (1, 1)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kind", "one_by_one"), [(RowLSTM, _row_lstm), (DiagonalBiLSTM, _diagonal_lstm)])
def test_lines_at_once_give_what_pixels_one_by_one_give(kind: type[Layer], one_by_one, size: tuple[int, int]) -> None:
    layer = _layer(kind, size)
    x = torch.randn(2, 4, *size, dtype=torch.double, requires_grad=True)
    expected = one_by_one(layer, x)
    torch.testing.assert_close(layer(x), expected)
    weights = torch.randn_like(expected)
    wanted = [x, *layer.parameters()]
    by_hand = torch.autograd.grad((layer(x) * weights).sum(), wanted)
    by_autograd = torch.autograd.grad((expected * weights).sum(), wanted)
    for ours, theirs in zip(by_hand, by_autograd, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("kind", [RowLSTM, DiagonalBiLSTM])
def test_numerical_derivatives_agree(kind: type[Layer]) -> None:
    layer = _layer(kind, (3, 4))
    x = torch.randn(2, 4, 3, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))


@pytest.mark.parametrize("kind", [RowLSTM, DiagonalBiLSTM])
def test_of_the_current_pixel_a_colour_sees_the_colours_up_to_it(kind: type[Layer]) -> None:
    layer = _layer(kind, (2, 3), in_channels=6, width=6, colours=3)
    x = torch.randn(1, 6, 2, 3, dtype=torch.double, requires_grad=True)
    for channel in range(6):
        (grad,) = torch.autograd.grad(layer(x)[0, channel, 1, 1], x)
        assert ((grad[0, :, 1, 1] != 0) == (torch.arange(6) % 3 <= channel % 3)).all()
        assert (grad[0, :, 0, 1] != 0).all()  # the states of the past are not masked
        assert not grad[0, :, 1, 2].any()


@pytest.mark.parametrize("size", SIZES)
def test_diagonals_are_the_columns_of_the_skewed_map(size: tuple[int, int]) -> None:
    """Figure 3: every row one place further to the right than the row above; undone exactly."""
    height, width = size
    lines = diagonals(height, width)
    image = torch.arange(height * width).view(height, width)
    for direction, mirrored in ((TO_RIGHT, image), (TO_LEFT, image.flip(1))):
        skewed = torch.full((height, height + width - 1), -1)
        for row in range(height):
            skewed[row, row : row + width] = mirrored[row]
        visited = lines.order[direction]
        columns = [column[column >= 0] for column in skewed.T]
        assert torch.equal(visited, torch.cat(columns))
        assert [step[1] for step in lines.steps] == [len(column) for column in columns]
        assert torch.equal(visited[lines.times[direction]], image.flatten())


@pytest.mark.parametrize("kind", [RowLSTM, DiagonalBiLSTM])
def test_under_autocast_states_keep_their_precision(kind: type[Layer]) -> None:
    layer = _layer(kind, (3, 4)).float()
    x = torch.randn(2, 4, 3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = layer(x)
    assert states.dtype == torch.float32
    torch.testing.assert_close(states, layer(x), atol=0.03, rtol=0.03)
