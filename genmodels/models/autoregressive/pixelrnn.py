"""PixelRNN: Pixel Recurrent Neural Networks (van den Oord, Kalchbrenner & Kavukcuoglu, ICML 2016, arXiv:1601.06759)."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from genmodels.distributions import PixelLikelihood
from genmodels.errors import UserError
from genmodels.models.autoregressive.diagonal_lstm import DiagonalBiLSTM
from genmodels.models.autoregressive.line_lstm import StateCache
from genmodels.models.autoregressive.masked_stack import MaskedStack
from genmodels.models.autoregressive.row_lstm import RowLSTM
from genmodels.networks.causal_conv import Cache, MaskedConv2d, MaskedOutput
from genmodels.ranges import at_least

LAYERS = {"row": RowLSTM, "diagonal": DiagonalBiLSTM}


class PixelRNN(MaskedStack):
    """A stack of LSTM layers over the image gives every pixel's distribution.

        7x7 convolution with mask A to 2h channels; `num_layers` LSTM layers 2h -> h, each followed by 1x1 h -> 2h;
        twice ReLU and 1x1; ReLU and 1x1 to the likelihood's parameters, 1x1 all with mask B (Table 1)

    Layer "row" sees a triangle that widens by a pixel to both sides with every row above. "diagonal" sees all earlier
    pixels but one, the last of the row above, which only the first layer brings, from up to 3 columns away: the
    features of a pixel are without its own (last) colour, and the LSTM to the left stops at the row above.
    Deviations: as in `PixelCNN` the widths are rounded up to multiples of the colours; the paper does not say how skip
    connections (Section 3.3) join the output: here 1x1 h -> 2h of every layer, added to the last layer's output.

    Args:
        shape: (C, H, W).
        likelihood: the paper's are `Categorical` and, for binary images, `Bernoulli`.
        layer: kind of LSTM.
        num_layers: 12 for CIFAR-10.
        width: h, 128 for CIFAR-10.
        output_width: channels of the two 1x1 layers before the last, 1024 for CIFAR-10, 32 for MNIST.
        residual: add a layer's input to its output.
        skip: add every layer's states to the last layer's output.
    Raises:
        UserError: a number is out of its range, or there is no such layer.
    """

    cache = StateCache

    def __init__(
        self,
        shape: Sequence[int],
        likelihood: PixelLikelihood,
        layer: Literal["row", "diagonal"] = "diagonal",
        num_layers: int = 12,
        width: int = 128,
        output_width: int = 1024,
        residual: bool = True,
        skip: bool = False,
    ) -> None:
        at_least(1, num_layers=num_layers, width=width, output_width=output_width)
        if layer not in LAYERS:
            raise UserError(f"model.layer={layer} must be one of {', '.join(LAYERS)}.")
        super().__init__(shape, likelihood)
        colours = likelihood.separate_colours
        h, out = (channels + -channels % colours for channels in (width, output_width))
        self.residual = residual
        self.first = MaskedConv2d(shape[0], 2 * h, (4, 7), "A", colours, sees="around")
        size = (self.shape[1], self.shape[2])
        self.lstms = nn.ModuleList(LAYERS[layer](2 * h, h, colours, size) for _ in range(num_layers))
        self.widen = nn.ModuleList(MaskedConv2d(h, 2 * h, (1, 1), "B", colours) for _ in range(num_layers))
        self.skips = nn.ModuleList(MaskedConv2d(h, 2 * h, (1, 1), "B", colours) for _ in range(num_layers * skip))
        self.output = MaskedOutput([2 * h, out, out, likelihood.num_params], colours)

    def after_first(self, h: Tensor, cache: Cache | None = None) -> Tensor:
        states = []
        for lstm, widen in zip(self.lstms, self.widen, strict=True):
            states.append(lstm(h, cache))
            h = h + widen(states[-1]) if self.residual else widen(states[-1])
        # Without skip connections there are no layers to go with the states.
        h = sum((skip(state) for skip, state in zip(self.skips, states, strict=False)), start=h)
        return self.output(h, cache)
