"""Gated PixelCNN: Conditional Image Generation with PixelCNN Decoders (van den Oord et al., NIPS 2016, 1606.05328)."""

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.distributions import PixelLikelihood
from genmodels.distributions.pixels import scaled
from genmodels.errors import UserError
from genmodels.models.autoregressive.autoregressive_model import AutoregressiveModel, Decoder
from genmodels.models.autoregressive.gated_pixelcnn_gate import gate
from genmodels.models.data_checks import conditional_classes
from genmodels.networks.causal_conv import Cache, CausalConv2d, MaskedConv2d, MaskedOutput
from genmodels.networks.layout import fast_layout
from genmodels.ranges import at_least


class GatedPixelCNN(AutoregressiveModel):
    """Two stacks of gated convolutions, one for the rows above and one for the pixels to the left: no blind spot.

        vertical    v' = gate(W_v * v)                       kernel (k // 2 + 1) x k, down to the current row of v
        horizontal  h' = h + W_1 gate(W_h * h + W_2 (W_v * v))    kernel 1 x (k // 2 + 1), up to the current pixel of h
        gate(a, b) = tanh(a + V_a y) sigmoid(b + V_b y)      Equations (2) and (4), y a one-hot label or absent

    (Figure 2.) The first layer sees of the image the rows above and the pixels to the left alone, and has no residual
    connection; from then on the features of the current row or pixel are safe to see. The output layers, ReLU and 1x1
    twice, see the sum of a 1x1 convolution of every layer's horizontal gate. Colours are kept apart by masks in the
    horizontal stack and the output; the vertical stack has no need to.

    Deviations: the paper gives neither the first layer's kernel (7x7, as PixelCNN's) nor the output layers; that all
    layers feed the output is recalled of it, unconfirmed. Widths are rounded up to a multiple of the colours.

    Args:
        shape: (C, H, W).
        likelihood: the paper's is `Categorical`.
        num_layers: layers, the first one included; 20 for ImageNet (recalled).
        width: channels of either stack, 384 for ImageNet (recalled).
        kernel_size: k of all layers but the first, odd; 5 for ImageNet (recalled).
        first_kernel_size: k of the first layer, odd.
        output_width: channels between the two output layers.
        conditional: condition every pixel on the label.
        num_classes: of the data.
    Raises:
        UserError: a kernel that is not odd or below 3, a number out of its range, or no classes to condition on.
    """

    def __init__(
        self,
        shape: Sequence[int],
        likelihood: PixelLikelihood,
        num_layers: int = 20,
        width: int = 384,
        kernel_size: int = 5,
        first_kernel_size: int = 7,
        output_width: int = 1024,
        conditional: bool = False,
        num_classes: int | None = None,
    ) -> None:
        for name, size in (("kernel_size", kernel_size), ("first_kernel_size", first_kernel_size)):
            if size < 3 or size % 2 == 0:
                raise UserError(f"model.{name}={size} must be odd and at least 3.")
        at_least(1, num_layers=num_layers, width=width, output_width=output_width)
        super().__init__(shape, likelihood, conditional_classes(conditional, num_classes))
        colours = likelihood.separate_colours
        p, out = (channels + -channels % colours for channels in (width, output_width))
        self.layers = nn.ModuleList(
            _Layer(
                p if i else shape[0],
                p,
                kernel_size if i else first_kernel_size,
                colours,
                self.num_classes,
                first=i == 0,
                last=i == num_layers - 1,
            )
            for i in range(num_layers)
        )
        self.output = MaskedOutput([p, out, likelihood.num_params], colours)

    def conditionals(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        x = fast_layout(self._scaled(x))
        label = self._one_hot(y)
        v, h = _one_row_down(x), x
        skips: Tensor | None = None
        for layer in self._layers():
            v, above = layer.vertical(v, label)
            h, skip = layer.horizontal(h, above)
            skips = skip if skips is None else skips + skip
        return self.output(skips)

    def decoder(self, batch: int, y: Tensor | None = None) -> Decoder:
        cache = Cache(width=self.shape[2])
        label = self._one_hot(y)
        dtype = self._dtype  # looked up once, not for every pixel
        layers = self._layers()
        above_row: list[tuple[Tensor, ...]] = []

        def start_row(x: Tensor) -> None:
            v = _one_row_down(x)
            above_row.clear()
            for layer in layers:
                v, above = layer.vertical(v, label, cache)
                above_row.append(above.split(1, dim=3))

        def decode(x: Tensor, row: int, column: int) -> Tensor:
            cache.row, cache.column = row, column
            if column == 0:
                start_row(self._scaled(x))
            h = scaled(x[:, :, row, None], self.levels, dtype)
            skips: Tensor | None = None
            for layer, above in zip(layers, above_row, strict=True):
                h, skip = layer.horizontal(h, above[column], cache)
                skips = skip if skips is None else skips + skip
            return self.output(skips, cache).squeeze(3)

        return decode

    def _layers(self) -> list["_Layer"]:
        return cast("list[_Layer]", list(self.layers))


class _Layer(nn.Module):
    """Figure 2. The first layer takes the image, where there is a cache all of it or, to the left, its current row."""

    def __init__(
        self, inputs: int, p: int, kernel_size: int, colours: int, num_classes: int, first: bool, last: bool
    ) -> None:
        super().__init__()
        self.first, self.last = first, last
        half = kernel_size // 2
        self.above = CausalConv2d(inputs, 2 * p, (half if first else half + 1, kernel_size), sees="around")
        self.link = nn.Linear(2 * p, 2 * p, bias=False)
        self.left = MaskedConv2d(inputs, 2 * p, (1, half + 1), "A" if first else "B", colours)
        # The residual and the skip connection; nothing follows the last layer but the output.
        self.out = MaskedConv2d(p, p if last else 2 * p, (1, 1), "B", colours)
        self.label = nn.Linear(num_classes, 2 * p if last else 4 * p, bias=False) if num_classes else None

    def vertical(self, v: Tensor, label: Tensor | None, cache: Cache | None = None) -> tuple[Tensor, Tensor]:
        """The vertical stack's next features and what the horizontal stack gets from it, label included."""
        a = self.above.look(v, cache.row) if self.first and cache else self.above(v, cache)
        link = self.link(a.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        if self.label is not None:
            biases = self.label(label)[:, :, None, None].split(a.shape[1], dim=1)
            link = link + biases[0]
            a = a if self.last else a + biases[1]
        return (a if self.last else gate(a)), link

    def horizontal(self, h: Tensor, above: Tensor, cache: Cache | None = None) -> tuple[Tensor, Tensor]:
        """The horizontal stack's next features, and this layer's share of what the output sees."""
        a = self.left.look(h, 0, cache.column) if self.first and cache else self.left(h, cache)
        gated = self.out(gate(a.add_(above)), cache)
        if self.last:
            return gated, gated
        update, skip = gated.chunk(2, dim=1)
        return (update if self.first else h + update), skip


def _one_row_down(x: Tensor) -> Tensor:
    return F.pad(x, (0, 0, 1, -1))
