"""The residual networks of IAF's experiments on MNIST (Kingma et al., NIPS 2016, arXiv:1606.04934, Appendix B)."""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models.vaes.networks import Networks, image_of
from genmodels.networks.same_conv import DoublingConv2d, SameConv2d, Size, WeightNormLinear, halved
from genmodels.ranges import at_least


class ResNetNetworks(Networks):
    """Pairs of residual blocks, of which the first halves the image, then a dense layer; and the same in reverse.

    Blocks of two 3x3 convolutions, ELU, weight normalisation with data-dependent initialisation; 16, 32 and 32 maps and
    450 dense units as in the paper. What it leaves open is chosen here: pre-activation, a strided 3x3 convolution as
    the shortcut where the size changes, deviations of 0.1 for what a block adds at the start. Labels are constant
    planes beside the image and numbers beside z.

    Args:
        widths: maps of each pair of blocks.
        hidden_features: units of the dense layer.
    Raises:
        UserError: a number is out of its range, or (when they are made) the data is not made of images.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 32), hidden_features: int = 450) -> None:
        at_least(1, under="model.networks.", widths=widths, hidden_features=hidden_features)
        self.widths, self.hidden_features = tuple(widths), hidden_features

    def encoder(self, shape: Sequence[int], num_features: int, context_features: int) -> nn.Module:
        channels, size = image_of("resnet", shape)
        return _Encoder(channels + context_features, self.widths, size, self.hidden_features, num_features)

    def decoder(self, num_latents: int, shape: Sequence[int], context_features: int) -> nn.Module:
        channels, size = image_of("resnet", shape)
        return _Decoder(num_latents + context_features, self.widths, size, self.hidden_features, channels)


class _Encoder(nn.Module):
    def __init__(self, channels: int, widths: Sequence[int], size: Size, hidden: int, num_features: int) -> None:
        super().__init__()
        pairs = itertools.pairwise([channels, *widths])
        self.blocks = nn.ModuleList(b for a, c in pairs for b in (_Halving(a, c), _Residual(c)))
        self.hidden = WeightNormLinear(widths[-1] * math.prod(_sizes(size, widths)[-1]), hidden)
        self.output = WeightNormLinear(hidden, num_features)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        if context is not None:
            x = torch.cat((x, context[:, :, None, None].expand(-1, -1, *x.shape[2:])), dim=1)
        for block in self.blocks:
            x = block(x)
        return self.output(F.elu(self.hidden(F.elu(x).flatten(1))))


class _Decoder(nn.Module):
    def __init__(self, num_features: int, widths: Sequence[int], size: Size, hidden: int, channels: int) -> None:
        super().__init__()
        *larger, smallest = _sizes(size, widths)
        self.start = (widths[-1], *smallest)
        self.hidden = WeightNormLinear(num_features, hidden)
        self.spread = WeightNormLinear(hidden, math.prod(self.start))
        outwards = [*reversed(widths), widths[0]]
        pairs = zip(itertools.pairwise(outwards), reversed(larger), strict=True)
        self.blocks = nn.ModuleList(b for (a, c), to in pairs for b in (_Residual(a), _Doubling(a, c, to)))
        self.output = SameConv2d(widths[0], channels)

    def forward(self, z: Tensor, context: Tensor | None) -> Tensor:
        z = z if context is None else torch.cat((z, context), dim=1)
        h = self.spread(F.elu(self.hidden(z))).unflatten(1, self.start)
        for block in self.blocks:
            h = block(h)
        return self.output(F.elu(h))


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = SameConv2d(width, width), SameConv2d(width, width, init_scale=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.elu(self.first(F.elu(x))))


class _Halving(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.shortcut = SameConv2d(channels, width, stride=2)
        self.first, self.second = SameConv2d(channels, width, stride=2), SameConv2d(width, width, init_scale=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.second(F.elu(self.first(F.elu(x))))


class _Doubling(nn.Module):
    def __init__(self, channels: int, width: int, size: Size) -> None:
        super().__init__()
        self.size = size
        self.shortcut = DoublingConv2d(channels, width)
        self.first, self.second = DoublingConv2d(channels, width), SameConv2d(width, width, init_scale=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x, self.size) + self.second(F.elu(self.first(F.elu(x), self.size)))


def _sizes(size: Size, widths: Sequence[int]) -> list[Size]:
    """From the image's own to that of the last blocks, one more than there are widths."""
    return list(itertools.accumulate(widths, lambda before, _: halved(before), initial=size))
