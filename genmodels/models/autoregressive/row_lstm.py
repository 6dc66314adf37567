"""The Row LSTM of PixelRNN (van den Oord et al. 2016, Section 3.1)."""

from torch import Tensor, nn

from genmodels.models.autoregressive.line_lstm import LineLSTM, Lines, StateCache
from genmodels.networks.causal_conv import MaskedConv2d


class RowLSTM(nn.Module):
    """An LSTM that goes down the rows, each pixel seeing three states of the row above: a triangle in all.

    The input-to-state part is a 3x1 convolution with mask B, of which the weight right of the pixel is left out here
    rather than masked; the state-to-state part a 3x1 convolution, padded with zeros left and right of the map.

    Args:
        in_channels: of the input, 2h in the paper.
        width: h, of the states.
        colours: that the channels belong to in turn; a state of a colour sees the input of colours up to it, and all
            of the row above.
        size: (H, W) of the map.
    Shapes: [B, in_channels, H, W] -> [B, width, H, W]; with a cache a pixel to a pixel, [B, ..., 1, 1].
    """

    def __init__(self, in_channels: int, width: int, colours: int, size: tuple[int, int]) -> None:
        super().__init__()
        height, columns = size
        self.input_to_state = MaskedConv2d(in_channels, 4 * width, (1, 2), "B", colours)
        rows = Lines([(0, columns)] * (height + 1), lambda _, row, i: row * columns + i, directions=1, taps=3)
        self.state_to_state = LineLSTM(rows, width)

    def forward(self, x: Tensor, cache: StateCache | None = None) -> Tensor:
        gates = self.input_to_state(x, cache)
        if cache is None:
            return self.state_to_state(gates)
        pixel = cache.row * cache.width + cache.column
        return self.state_to_state.step(gates.flatten(1), cache, pixel)[:, :, None, None]
