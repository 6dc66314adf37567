"""The network of PixelCNN++ (Salimans, Karpathy, Chen & Kingma 2017, Section 2 and Figure 2)."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models.autoregressive.pixelcnnpp_resampling import Downsample2d, ScaleCache, Upsample2d
from genmodels.networks.causal_conv import Cache
from genmodels.networks.concat_elu import concat_elu, gated_sum
from genmodels.networks.weight_norm import WeightNormConv2d, WeightNormPointwise

ByScale = list[list[Tensor]]  # features, first those at full size
Sees = Literal["left", "around"]


class PixelCNNPPNet(nn.Module):
    """Two streams, one of the rows above (u) and one of these and what is to the left (ul), which looks at the first.

    Each is a U: at each scale `num_resnets` gated blocks on the way down, and on the way up, where they look at what
    the way down has left, `num_resnets` at the smallest and one more at the others. Causality is made by the stems
    alone, which shift what they give: all else sees the current position.

    Args:
        in_channels: colours.
        out_channels: of the 1x1 convolution at the end.
        num_classes: of one-hot labels, which shift the two halves of every gate; 0 for none.
        num_halvings: how many smaller scales there are, 2 in the paper.
    Shapes: [B, in_channels, H, W] -> [B, out_channels, H, W], H and W divisible by 2^num_halvings.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        num_resnets: int,
        dropout: float,
        num_classes: int = 0,
        num_halvings: int = 2,
    ) -> None:
        super().__init__()
        self.num_halvings = num_halvings
        self.first_u = WeightNormConv2d(in_channels + 1, width, (2, 3), "around")
        self.first_above = WeightNormConv2d(in_channels + 1, width, (1, 3), "around")
        self.first_left = WeightNormConv2d(in_channels + 1, width, (2, 1), "left")
        self.u = _Scale(width, num_resnets, num_halvings, True, dropout, num_classes)
        self.ul = _Scale(width, num_resnets, num_halvings, False, dropout, num_classes)
        self.last = WeightNormConv2d(width, out_channels)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        x = _with_ones(x)
        u = _shifted_down(self.first_u(x))
        ul = _shifted_down(self.first_above(x)) + _shifted_right(self.first_left(x))
        _, seen = self.u(u, label, None, None)
        ul, _ = self.ul(ul, label, seen, None)
        return self.last(F.elu(ul))

    def stepper(self, width: int, label: Tensor | None = None) -> Callable[[Tensor, int, int], Tensor]:
        """A function (x, row, column) -> [B, out_channels, 1, 1] of images of that width; pixels come in order."""
        u_cache, ul_cache = (ScaleCache(width, self.num_halvings, by_rows) for by_rows in (True, False))
        seen: ByScale = [[] for _ in range(self.num_halvings + 1)]

        def step(x: Tensor, row: int, column: int) -> Tensor:
            top = max(0, row - 2)  # all that the stems see
            x, row_in_x = _with_ones(x[:, :, top : row + 1]), row - top
            if column == 0:
                u_cache.move_to(row, 0)
                u = self._u_at(x, row_in_x)
                for at_scale, new in zip(seen, self.u(u, label, None, u_cache)[1], strict=False):
                    at_scale[:] = new
            ul_cache.move_to(row, column)
            ul, _ = self.ul(self._ul_at(x, row_in_x, column), label, seen, ul_cache)
            return self.last(F.elu(ul))

        return step

    def _u_at(self, x: Tensor, row: int) -> Tensor:
        nothing = x.new_zeros(x.shape[0], self.first_u.bias.numel(), 1, x.shape[3])
        return self.first_u.look(x, row - 1) if row > 0 else nothing

    def _ul_at(self, x: Tensor, row: int, column: int) -> Tensor:
        ul = x.new_zeros(x.shape[0], self.first_u.bias.numel(), 1, 1)
        if row > 0:
            ul = ul + self.first_above.look(x, row - 1, column)
        if column > 0:
            ul = ul + self.first_left.look(x, row, column - 1)
        return ul


class _Scale(nn.Module):
    """One stream at one scale and, in its middle, at all smaller ones.

    Args:
        num_halvings: how many smaller scales there are.
        is_u: the stream of the rows above, which looks at no other.
    """

    def __init__(
        self, width: int, num_resnets: int, num_halvings: int, is_u: bool, dropout: float, num_classes: int
    ) -> None:
        super().__init__()
        kernel_size = (2, 3) if is_u else (2, 2)
        sees: Sees = "around" if is_u else "left"

        def blocks(number: int, num_beside: int) -> nn.ModuleList:
            beside = 2 * width * (num_beside if is_u else num_beside + 1)
            return nn.ModuleList(
                GatedResnet(width, beside, kernel_size, sees, dropout, num_classes) for _ in range(number)
            )

        self.down = blocks(num_resnets, 0)
        self.smaller = None
        if num_halvings:
            self.shrink = Downsample2d(width, width, kernel_size, sees)
            self.smaller = _Scale(width, num_resnets, num_halvings - 1, is_u, dropout, num_classes)
            self.grow = Upsample2d(width, width, kernel_size, sees)
        self.up = blocks(num_resnets + (num_halvings > 0), 1)

    def forward(
        self, x: Tensor, label: Tensor | None, seen: ByScale | None, cache: ScaleCache | None
    ) -> tuple[Tensor, ByScale]:
        """
        Args:
            seen: what the other stream has given, of this scale and all smaller ones.
            cache: of this scale, for a row of u or a pixel of ul.
        Returns: the output, and concat_elu of every block's output at this scale and all smaller ones.
        """
        above = iter([(u if cache is None else cache.here(u),) for u in seen[0]] if seen else [])
        active = concat_elu(x)
        skips = [active]
        features: list[Tensor] = []
        smaller: ByScale = []

        for block in self.down:
            x = block(x, active, next(above, ()), label, cache)
            active = concat_elu(x)
            skips.append(active)
            features.append(active)
        if self.smaller is None:
            skips.pop()  # the output itself
        else:
            small = self.shrink(x, cache)
            if small is not None:
                below = None if cache is None else cache.smaller
                small, smaller = self.smaller(small, label, seen and seen[1:], below)
            x = self.grow(small, cache)
            active = concat_elu(x)
        for block in self.up:
            x = block(x, active, (*next(above, ()), skips.pop()), label, cache)
            active = concat_elu(x)
            features.append(active)
        assert not skips
        return x, [features, *smaller]


class GatedResnet(nn.Module):
    """x + a * sigmoid(b), (a, b) = conv(dropout(f(conv(f(x)) + W f(beside)))) + V label, f = concat_elu.

    Args:
        beside: channels of all maps that it looks at besides x, f applied; 0 for none.
        kernel_size, sees: of both convolutions.
    Shapes: [B, width, H, W] -> the same.
    """

    def __init__(
        self,
        width: int,
        beside: int,
        kernel_size: tuple[int, int],
        sees: Sees,
        dropout: float,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.first = WeightNormConv2d(2 * width, width, kernel_size, sees)
        self.beside = WeightNormPointwise(beside, width) if beside else None
        self.second = WeightNormConv2d(2 * width, 2 * width, kernel_size, sees, init_scale=0.1)
        self.label = nn.Linear(num_classes, 2 * width, bias=False) if num_classes else None
        if self.label is not None:
            nn.init.normal_(self.label.weight, std=0.05)

    def forward(
        self, x: Tensor, active: Tensor, beside: Sequence[Tensor], label: Tensor | None, cache: Cache | None
    ) -> Tensor:
        """`active` is f(x)."""
        h = self.first(active, cache)
        if self.beside is not None:
            h = h + self.beside(*beside)
        active = concat_elu(h, self.dropout if self.training else 0.0)
        h = self.second.uncut(active) if cache is None else self.second(active, cache)
        if self.label is not None:
            h = h + self.label(label)[:, :, None, None]
        return gated_sum(x, h)


def _with_ones(x: Tensor) -> Tensor:
    """A channel of ones tells pixels from padding."""
    return torch.cat((x, torch.ones_like(x[:, :1])), dim=1)


def _shifted_down(x: Tensor) -> Tensor:
    return F.pad(x, (0, 0, 1, -1))


def _shifted_right(x: Tensor) -> Tensor:
    return F.pad(x, (1, -1))
