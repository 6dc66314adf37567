"""Parallel Multiscale Autoregressive Density Estimation (Reed et al., ICML 2017, arXiv:1703.03664)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.distributions import PixelLikelihood
from genmodels.errors import UserError
from genmodels.models.autoregressive.autoregressive_model import AutoregressiveModel, Decoder, raster_order
from genmodels.models.autoregressive.pixelcnn import PixelCNN
from genmodels.networks.causal_conv import MaskedConv2d
from genmodels.networks.layout import fast_layout
from genmodels.ranges import at_least


class MultiscalePixelCNN(AutoregressiveModel):
    """A small image, doubled again and again: of each new 2x2 block one corner is there, the others come in turn.

        1 2    1 is a pixel of the smaller image; all pixels 2 of the image are drawn at once given all 1,
        3 4    then all 3 given 1 and 2, then all 4

    The smaller images are the larger ones' own pixels, so the likelihood is exact, and it takes O(log N) steps to draw
    N pixels. From the paper: the abstract's independence of pixels within a group, and its O(log N); the order of the
    four groups is recalled. Our choice, since only the abstract and the introduction could be read: a residual network
    of 3x3 convolutions for each group at each scale, on the grid of the blocks with the earlier corners as its
    channels; a `PixelCNN` for the smallest image; colours of a pixel one after another where the likelihood does not
    join them. Recalled and left out: a shallow PixelCNN within patches of a group, which makes neighbours dependent at
    the cost of more steps.

    Args:
        shape: (C, H, W) with H = W = base * 2^n.
        likelihood: of a pixel.
        base: side of the smallest image; the paper starts from 4. None for what halving the side leads to: 4, or
            the first odd number.
        base_layers: residual blocks of the smallest image's PixelCNN.
        num_blocks: residual blocks, of two convolutions each, of the other networks.
        width: channels of all networks, rounded up to the next multiple of the colours.
    Raises:
        UserError: a number is out of its range, or the sizes do not go together.
    """

    def __init__(
        self,
        shape: Sequence[int],
        likelihood: PixelLikelihood,
        base: int | None = None,
        base_layers: int = 5,
        num_blocks: int = 6,
        width: int = 128,
    ) -> None:
        at_least(1, base=base, base_layers=base_layers, num_blocks=num_blocks, width=width)
        colours = likelihood.separate_colours
        base, asked = base or _smallest_side(shape), base
        smallest, corners = _corners(shape, base)
        super().__init__(shape, likelihood, order=_order(shape, colours, smallest, corners))
        width += -width % colours
        self._smallest, self._corners = smallest, corners
        self.base = PixelCNN((shape[0], base, base), likelihood, base_layers, width // 2, width)
        self.groups = nn.ModuleList(
            _Group(shape[0], len(corner.earlier), colours, likelihood.num_params, width, num_blocks)
            for corner in corners
        )
        self.chosen = {"base": base} if asked is None else {}

    def conditionals(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        base = self.base.conditionals(self._smallest.of(x))
        params = base.new_empty(len(x), base.shape[1], *self.shape[1:])
        self._smallest.of(params).copy_(base)
        for corner, of_corner in self._upscaled(x):
            corner.of(params).copy_(of_corner)
        return params

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        log_p = self.base.log_prob(self._smallest.of(x))
        for corner, params in self._upscaled(x):
            log_p = log_p + self.likelihood.log_prob(params, corner.of(x)).flatten(1).sum(dim=1)
        return log_p

    def decoder(self, batch: int, y: Tensor | None = None) -> Decoder:
        base = self.base.decoder(batch)
        # Of each group for its first colour, when all that they see has been drawn.
        features: dict[int, Tensor] = {}

        def decode(x: Tensor, rows: Any, columns: Any) -> Tensor:
            row, column = (int(torch.as_tensor(places).flatten()[0]) for places in (rows, columns))
            if self._smallest.has(row, column):
                return base(self._smallest.of(x), row // self._smallest.stride, column // self._smallest.stride)
            index = next(index for index, corner in enumerate(self._corners) if corner.has(row, column))
            group, corner, v = self._group(index), self._corners[index], self._scaled(x)
            if index not in features:
                features[index] = group.features(corner.seen(v))
            return group(features[index], corner.of(v)).flatten(2)

        return decode

    def _upscaled(self, x: Tensor) -> Iterator[tuple["_Corner", Tensor]]:
        v = self._scaled(x)
        for index, corner in enumerate(self._corners):
            group = self._group(index)
            yield corner, group(group.features(corner.seen(v)), corner.of(v))

    def _group(self, index: int) -> "_Group":
        return cast(_Group, self.groups[index])


@dataclass(frozen=True)
class _Corner:
    """The pixels at one corner of all blocks of a scale: every `stride`-th row and column, from `top` and `left`.

    Args:
        earlier: corners of the same blocks that have been drawn.
    """

    stride: int
    top: int = 0
    left: int = 0
    earlier: tuple["_Corner", ...] = ()

    def of(self, image: Tensor) -> Tensor:
        return image[:, :, self.top :: self.stride, self.left :: self.stride]

    def seen(self, image: Tensor) -> Tensor:
        """The earlier corners, stacked as channels."""
        return torch.cat([corner.of(image) for corner in self.earlier], dim=1)

    def has(self, row: int, column: int) -> bool:
        return (row % self.stride, column % self.stride) == (self.top, self.left)


class _Group(nn.Module):
    """The parameters of one corner of all blocks from the earlier corners and, colour by colour, from itself."""

    def __init__(
        self, channels: int, num_earlier: int, colours: int, num_params: int, width: int, num_blocks: int
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(num_earlier * channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(num_blocks))
        self.own = MaskedConv2d(channels, width, (1, 1), "A", colours) if colours > 1 else None
        self.mixed = MaskedConv2d(width, width, (1, 1), "B", colours)
        self.output = MaskedConv2d(width, num_params, (1, 1), "B", colours)

    def features(self, earlier: Tensor) -> Tensor:
        h = self.first(fast_layout(earlier))
        for block in self.blocks:
            h = block(h)
        return h

    def forward(self, features: Tensor, own: Tensor) -> Tensor:
        h = features if self.own is None else features + self.own(own)
        return self.output(F.relu(self.mixed(F.relu(h))))


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


def _corners(shape: Sequence[int], base: int) -> tuple[_Corner, list[_Corner]]:
    """The smallest image, and what is added to it in turn."""
    _, height, width = shape
    stride = height // base
    if height != width or stride * base != height or stride & (stride - 1):
        remedy = f"set model.base={_smallest_side(shape)}"
        raise UserError(f"model.base={base} does not lead to {height}x{width} images by doubling; {remedy}.")
    smallest, corners = _Corner(stride), []
    while stride > 1:
        half = stride // 2
        seen: tuple[_Corner, ...] = (_Corner(stride),)
        for top, left in ((0, half), (half, 0), (half, half)):
            corners.append(_Corner(stride, top, left, seen))
            seen = (*seen, corners[-1])
        stride = half
    return smallest, corners


def _smallest_side(shape: Sequence[int]) -> int:
    """That of the image which, halved from these, is left at 4 pixels or at an odd number."""
    _, side, width = shape
    if side != width:
        raise UserError(
            f"model=multiscale_pixelcnn needs square images, not {side}x{width}: choose such data, e.g. data=cifar10."
        )
    if side % 2:
        raise UserError(f"model=multiscale_pixelcnn halves images, and {side} is odd: choose data of an even size.")
    base = side // 2
    while base % 2 == 0 and base > 4:
        base //= 2
    return base


def _order(shape: Sequence[int], colours: int, smallest: _Corner, corners: Sequence[_Corner]) -> Tensor:
    side = shape[1] // smallest.stride
    order = torch.empty(1, *shape, dtype=torch.long)
    smallest.of(order)[:] = raster_order((shape[0], side, side), joint_colours=colours == 1)
    step = side * side * colours
    for corner in corners:
        corner.of(order)[:] = step + (torch.arange(shape[0])[:, None, None] if colours > 1 else 0)
        step += colours
    return order[0]
