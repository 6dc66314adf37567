"""PixelRNN by Equation 3, Figures 3 and 5 and Table 1 of van den Oord et al. 2016 (arXiv:1601.06759)."""

import pytest
import torch
from torch import Tensor

from genmodels.distributions import Categorical
from genmodels.models import PixelRNN
from golden.fixed import filled, images
from golden.masks import State, masked_conv, output_layers
from golden.scores import categorical

LEVELS, LAYERS, HEIGHT, WIDTH = 4, 2, 4, 5


def _cell(gates: Tensor, c_before: Tensor) -> tuple[Tensor, Tensor]:
    """Equation 3: output, forget, input and content gate, in this order."""
    o, f, i, g = gates.chunk(4, dim=1)
    c = torch.sigmoid(f) * c_before + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _row_lstm(w: State, layer: str, x: Tensor, colours: int) -> Tensor:
    """Section 3.1: row after row, from the three states above, beyond the map's sides of nought."""
    of_input = masked_conv(w, f"{layer}.input_to_state", x, "B", colours)
    above_left, above, above_right = w[f"{layer}.state_to_state.weight"][0].chunk(3)  # each [h, 4 h]
    h, c = (start[0][None, :, None].expand(len(x), -1, WIDTH) for start in w[f"{layer}.state_to_state.start"])
    rows = []
    for row in range(HEIGHT):
        left, right = torch.zeros_like(h), torch.zeros_like(h)
        left[..., 1:], right[..., :-1] = h[..., :-1], h[..., 1:]
        gates = of_input[:, :, row] + above_left.T @ left + above.T @ h + above_right.T @ right
        h, c = _cell(gates, c)
        rows.append(h)
    return torch.stack(rows, dim=2)


def _skewed(x: Tensor) -> Tensor:
    """Figure 3: each row one place further to the right than the one above."""
    skewed = x.new_zeros(*x.shape[:3], HEIGHT + WIDTH - 1)
    for row in range(HEIGHT):
        skewed[:, :, row, row : row + WIDTH] = x[:, :, row]
    return skewed


def _along_diagonals(w: State, layer: str, of_input: Tensor, direction: int) -> Tensor:
    """Section 3.2: columns of the skewed map from left to right, a 2x1 convolution from state to state."""
    above, beside = w[f"{layer}.state_to_state.weight"][direction].chunk(2)
    start_h, start_c = w[f"{layer}.state_to_state.start"][:, direction]
    skewed = _skewed(of_input)
    batch, width = len(of_input), len(start_h)
    h, c = (skewed.new_zeros(batch, width, HEIGHT) for _ in range(2))
    columns = []
    for column in range(HEIGHT + WIDTH - 1):
        if column < HEIGHT:  # where row `column` begins, its pixel finds the initial state beside itself
            h, c = h.clone(), c.clone()
            h[:, :, column], c[:, :, column] = start_h, start_c
        in_map = torch.tensor([0 <= column - row < WIDTH for row in range(HEIGHT)])
        from_above = torch.cat((torch.zeros_like(h[:, :, :1]), h[:, :, :-1]), dim=2)
        gates = skewed[:, :, :, column] + above.T @ from_above + beside.T @ h
        h, c = (torch.where(in_map, new, 0.0) for new in _cell(gates, c))
        columns.append(h)
    of_skewed = torch.stack(columns, dim=3)
    return torch.stack([of_skewed[:, :, row, row : row + WIDTH] for row in range(HEIGHT)], dim=2)


def _diagonal_bilstm(w: State, layer: str, x: Tensor, colours: int) -> Tensor:
    to_right, to_left = masked_conv(w, f"{layer}.input_to_state", x, "B", colours).chunk(2, dim=1)
    right = _along_diagonals(w, layer, to_right, 0)
    left = _along_diagonals(w, layer, to_left.flip(3), 1).flip(3)
    one_row_down = torch.zeros_like(left)
    one_row_down[:, :, 1:] = left[:, :, :-1]
    return right + one_row_down


def _by_the_paper(w: State, x: Tensor, kind: str, colours: int, residual: bool, skip: bool) -> Tensor:
    lstm = {"row": _row_lstm, "diagonal": _diagonal_bilstm}[kind]
    h = masked_conv(w, "first", 2 * x.double() / (LEVELS - 1) - 1, "A", colours)
    skipped = torch.zeros(())
    for number in range(LAYERS):
        states = lstm(w, f"lstms.{number}", h, colours)
        widened = masked_conv(w, f"widen.{number}", states, "B", colours)
        h = h + widened if residual else widened
        if skip:
            skipped = skipped + masked_conv(w, f"skips.{number}", states, "B", colours)
    return output_layers(w, h + skipped, colours)


@pytest.mark.parametrize("kind", ["row", "diagonal"])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize(("residual", "skip"), [(True, False), (True, True), (False, False)])
def test_conditionals_and_likelihood_are_the_papers(kind: str, colours: int, residual: bool, skip: bool) -> None:
    shape = (colours, HEIGHT, WIDTH)
    model = filled(PixelRNN(shape, Categorical(shape, LEVELS), kind, LAYERS, 5, 7, residual, skip))
    w, x = model.state_dict(), images(shape, LEVELS)
    width = {1: 5, 3: 6}[colours]
    assert w["lstms.0.state_to_state.weight"].shape == {"row": (1, 3 * width, 4 * width)}.get(
        kind, (2, 2 * width, 4 * width)
    )
    assert w["first.weight"].shape == (2 * width, colours, 4, 7)
    assert "output.2.weight" in w
    assert "output.3.weight" not in w
    expected = _by_the_paper(w, x, kind, colours, residual, skip)
    torch.testing.assert_close(model.conditionals(x), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.log_prob(x), categorical(expected, x), rtol=1e-10, atol=1e-10)


def test_the_initial_states_start_from_nought() -> None:
    shape = (1, HEIGHT, WIDTH)
    w = PixelRNN(shape, Categorical(shape, LEVELS), "row", 1, 5, 7).state_dict()
    assert not w["lstms.0.state_to_state.start"].any()


@pytest.mark.parametrize(("kind", "taps"), [("row", 3), ("diagonal", 2)])
def test_the_recurrent_weights_start_as_torchs_convolutions_do(kind: str, taps: int) -> None:
    """Uniform up to one over the root of the states that enter a gate; the paper does not say."""
    torch.manual_seed(0)
    shape, width = (1, HEIGHT, WIDTH), 20
    weight = PixelRNN(shape, Categorical(shape, LEVELS), kind, 1, width, 7).lstms[0].state_to_state.weight.detach()
    bound = (taps * width) ** -0.5
    assert 0.99 * bound < float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.05)
