"""PixelCNN: Pixel Recurrent Neural Networks (van den Oord, Kalchbrenner & Kavukcuoglu, ICML 2016, arXiv:1601.06759)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.distributions import PixelLikelihood
from genmodels.models.autoregressive.masked_stack import MaskedStack
from genmodels.networks.causal_conv import Cache, MaskedConv2d, MaskedOutput
from genmodels.ranges import at_least


class PixelCNN(MaskedStack):
    """A stack of masked convolutions gives every pixel's distribution in one pass.

        7x7 convolution with mask A; `num_layers` residual blocks, ReLU before each of 1x1 2h -> h, 3x3 h -> h and
        1x1 h -> 2h, all with mask B; twice ReLU and 1x1; ReLU and 1x1 to the likelihood's parameters (Table 1)

    Some pixels above and to the right are never seen, the "blind spot" that `GatedPixelCNN` does away with.
    Deviations: the paper does not say how 2h channels are split among three colours where 3 does not divide them; here
    h and the width of the output layers are rounded up to the next multiple.

    Args:
        shape: (C, H, W).
        likelihood: the paper's is `Categorical`.
        num_layers: residual blocks, 15 for CIFAR-10.
        width: h, 128 for CIFAR-10.
        output_width: channels of the two 1x1 layers before the last, 1024 for CIFAR-10 (recalled).
    Raises:
        UserError: a number is out of its range.
    """

    def __init__(
        self,
        shape: Sequence[int],
        likelihood: PixelLikelihood,
        num_layers: int = 15,
        width: int = 128,
        output_width: int = 1024,
    ) -> None:
        at_least(1, num_layers=num_layers, width=width, output_width=output_width)
        super().__init__(shape, likelihood)
        colours = likelihood.separate_colours
        h, out = (channels + -channels % colours for channels in (width, output_width))
        self.first = MaskedConv2d(shape[0], 2 * h, (4, 7), "A", colours, sees="around")
        self.blocks = nn.ModuleList(_Block(h, colours) for _ in range(num_layers))
        self.output = MaskedOutput([2 * h, out, out, likelihood.num_params], colours)

    def after_first(self, h: Tensor, cache: Cache | None = None) -> Tensor:
        for block in self.blocks:
            h = block(h, cache)
        return self.output(h, cache)


class _Block(nn.Module):
    """Figure 5, left."""

    def __init__(self, h: int, colours: int) -> None:
        super().__init__()
        self.narrow = MaskedConv2d(2 * h, h, (1, 1), "B", colours)
        self.look = MaskedConv2d(h, h, (2, 3), "B", colours, sees="around")
        self.widen = MaskedConv2d(h, 2 * h, (1, 1), "B", colours)

    def forward(self, x: Tensor, cache: Cache | None) -> Tensor:
        h = self.narrow(F.relu(x))
        h = self.look(F.relu(h), cache)
        return x + self.widen(F.relu(h))
