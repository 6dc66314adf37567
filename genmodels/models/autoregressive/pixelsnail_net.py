"""The parts of PixelSNAIL: gated residual blocks and causal attention (Chen, Mishra, Rohaninejad & Abbeel 2018)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models.autoregressive.pixelsnail_attention import Memory, attend_to_earlier
from genmodels.networks.causal_conv import Cache
from genmodels.networks.concat_elu import gated_sum
from genmodels.networks.layout import fast_layout
from genmodels.networks.weight_norm import WeightNormConv2d


class GatedResnet(nn.Module):
    """x + a sigmoid(b) with (a, b) = conv(dropout(elu(conv(elu(x)) + nin(elu(beside))))).

    Args:
        width: channels of x.
        kernel_size: of both convolutions, which see what is above and to the left.
        dropout: of the hidden channels, in training.
        beside_width: channels of a second input; 0 for none.
        num_classes: labels shift (a, b); 0 for none.
    """

    def __init__(
        self, width: int, kernel_size: tuple[int, int], dropout: float, beside_width: int = 0, num_classes: int = 0
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.first = WeightNormConv2d(width, width, kernel_size)
        self.beside = WeightNormConv2d(beside_width, width, (1, 1)) if beside_width else None
        self.second = WeightNormConv2d(width, 2 * width, kernel_size, init_scale=0.1)
        self.label = nn.Linear(num_classes, 2 * width, bias=False) if num_classes else None
        if self.label is not None:
            nn.init.normal_(self.label.weight, std=0.05)

    def forward(
        self, x: Tensor, beside: Tensor | None = None, classes: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        """Shapes: x [B, width, H, W], beside [B, beside_width, H, W], classes [B, num_classes] -> as x."""
        h = self.first(F.elu(x), cache)
        if self.beside is not None and beside is not None:
            h = h + self.beside(F.elu(beside), cache)
        h = F.elu_(h)
        if self.training and self.dropout:
            h = F.dropout(h, self.dropout)
        h = self.second.uncut(h) if cache is None else self.second(h, cache)
        if self.label is not None:
            h = h + self.label(classes)[:, :, None, None]
        return gated_sum(x, h)


class AttentionBlock(nn.Module):
    """Merges into each pixel's features what a softmax over all earlier pixels reads from them.

    Keys and values come from a pixel's features, its value and its place; queries from features and place alone, since
    the pixel is what is to be predicted. One head.

    Args:
        width: of the features.
        place: channels that tell where a pixel is.
        colours: C.
        key_width, value_width: of the attention.
        dropout, num_classes: of the gated blocks.
    """

    def __init__(
        self,
        width: int,
        place: int,
        colours: int,
        key_width: int,
        value_width: int,
        dropout: float,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.widths = (key_width, value_width)
        self.see = GatedResnet(width + place + colours, (1, 1), dropout, num_classes=num_classes)
        self.key_value = WeightNormConv2d(width + place + colours, key_width + value_width)
        self.ask = GatedResnet(width + place, (1, 1), dropout, num_classes=num_classes)
        self.query = WeightNormConv2d(width + place, key_width)
        self.merge = GatedResnet(width, (1, 1), dropout, beside_width=value_width, num_classes=num_classes)

    def forward(
        self,
        h: Tensor,
        place: Tensor,
        seen: Tensor,
        classes: Tensor | None = None,
        cache: Cache | None = None,
        memory: Memory | None = None,
    ) -> Tensor:
        """Shapes: h [B, width, H, W], place [B, place, H, W], seen [B, place + C, H, W], place and pixel -> as h.

        With a memory h and place are of one pixel, which comes once and in order, and `seen` is of the one before.
        """
        query = self.query(self.ask(torch.cat((h, place), dim=1), None, classes, cache), cache)
        if memory is None:
            read = attend_to_earlier(query, *self._key_value(h, seen, classes).split(self.widths, dim=1))
        else:
            if memory.last is not None:
                memory.append(self._key_value(memory.last, seen, classes, cache))
            memory.last = h
            read = memory.attend(query)
        return self.merge(h, read, classes, cache)

    def _key_value(self, h: Tensor, seen: Tensor, classes: Tensor | None, cache: Cache | None = None) -> Tensor:
        return self.key_value(self.see(torch.cat((h, seen), dim=1), None, classes, cache), cache)


class FirstLayer(nn.Module):
    """Three pixels of the row above and the two to the left and to the upper left, and nothing else.

    Two convolutions, moved by a row and by a column; a channel of ones tells a black pixel from the edge.

    Shapes: [B, C, H, W] -> [B, width, H, W].
    """

    def __init__(self, colours: int, width: int) -> None:
        super().__init__()
        self.above = WeightNormConv2d(colours + 1, width, (1, 3), sees="around")
        self.left = WeightNormConv2d(colours + 1, width, (2, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = fast_layout(_with_ones(x))
        return F.pad(self.above(x)[:, :, :-1], (0, 0, 1, 0)) + F.pad(self.left(x)[:, :, :, :-1], (1, 0))

    def look(self, x: Tensor, row: int, column: int) -> Tensor:
        """The output at one pixel: [B, width, 1, 1]."""
        x = _with_ones(x)
        h = x.new_zeros(len(x), self.above.scale.numel(), 1, 1)
        if row > 0:
            h = h + self.above.look(x, row - 1, column)
        if column > 0:
            h = h + self.left.look(x, row, column - 1)
        return h


def _with_ones(x: Tensor) -> Tensor:
    return F.pad(x, (0, 0, 0, 0, 0, 1), value=1.0)
