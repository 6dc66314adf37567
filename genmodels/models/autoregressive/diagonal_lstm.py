"""The Diagonal BiLSTM of PixelRNN (van den Oord et al. 2016, Section 3.2)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models.autoregressive.line_lstm import LineLSTM, Lines, StateCache
from genmodels.networks.causal_conv import MaskedConv2d

TO_RIGHT, TO_LEFT = 0, 1


class DiagonalBiLSTM(nn.Module):
    """Two LSTMs that go along the diagonals, from the upper left corner and from the upper right one.

    A pixel sees the states above it and beside it, on the side from which the LSTM comes. What the one from the right
    gives is shifted down by one row before the two are added, for it has seen pixels that come later in its row. The
    input-to-state part is a 1x1 convolution with mask B. The paper skews the map, so that diagonals become columns that
    are half empty; here a diagonal has its own pixels alone. Above the map the states are zero, beside it they are the
    initial one, both our choice.

    Args:
        in_channels: of the input, 2h in the paper.
        width: h, of the states.
        colours: that the channels belong to in turn; a state of a colour sees the input of colours up to it, and all
            of earlier pixels.
        size: (H, W) of the map.
    Shapes: [B, in_channels, H, W] -> [B, width, H, W]; with a cache a pixel to a pixel, [B, ..., 1, 1].
    """

    def __init__(self, in_channels: int, width: int, colours: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.width = width
        self.input_to_state = MaskedConv2d(in_channels, 2 * 4 * width, (1, 1), "B", colours)
        self.state_to_state = LineLSTM(diagonals(*size), width)

    def forward(self, x: Tensor, cache: StateCache | None = None) -> Tensor:
        gates = self.input_to_state(x, cache)
        if cache is not None:
            return self._of_pixel(gates.flatten(1), cache)[:, :, None, None]
        to_right, to_left = self.state_to_state(gates).chunk(2, dim=1)
        return to_right + F.pad(to_left[:, :, :-1], (0, 0, 1, 0))

    def _of_pixel(self, gates: Tensor, cache: StateCache) -> Tensor:
        to_right, to_left = gates.chunk(2, dim=1)
        if self not in cache.states:
            cache.states[self] = _ToLeft(
                gates=to_left.new_empty(cache.width, *to_left.shape),
                above=to_left.new_zeros(cache.width, len(gates), self.width),
            )
        row = cache.states[self]
        first = cache.row * cache.width
        if row.number < cache.row:
            for column in reversed(range(cache.width)):
                pixel = first - cache.width + column
                row.above[column] = self.state_to_state.step(row.gates[column], cache, pixel, TO_LEFT)
            row.number = cache.row
        row.gates[cache.column] = to_left
        return self.state_to_state.step(to_right, cache, first + cache.column, TO_RIGHT) + row.above[cache.column]


@dataclass
class _ToLeft:
    """What the LSTM to the left waits with until a row is complete.

    Args:
        gates: [W, B, 4 * width], its input-to-state part in the current row.
        above: [W, B, width], its states in the row above.
        number: of the current row.
    """

    gates: Tensor
    above: Tensor
    number: int = 0


def diagonals(height: int, width: int) -> Lines:
    """The pixels whose row and column, counted from the side an LSTM comes from, add up to 0, 1, ...

    They are numbered by their rows.
    """
    ranges = [(max(0, line - width + 1), min(line + 1, height)) for line in range(height + width - 1)]

    def pixel(direction: int, line: int, row: int) -> int:
        column = line - row if direction == TO_RIGHT else width - 1 - (line - row)
        return row * width + column

    return Lines([*ranges, (height, height)], pixel, directions=2, taps=2)
