"""Vector fields f(t, z): what a continuous flow follows."""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.networks.layout import fast_layout
from genmodels.networks.time_layers import CONV, LINEAR, TimeLayer
from genmodels.networks.unet import UNet
from genmodels.ranges import at_least

Activation = Literal["softplus", "tanh", "elu"]
ACTIVATIONS = {"softplus": F.softplus, "tanh": F.tanh, "elu": F.elu}
"""Smooth ones: a solver's steps shrink at a kink."""


class Field(ABC):
    """A choice of network for f; the shape of z is the flow's to say."""

    @abstractmethod
    def network(self, shape: Sequence[int]) -> nn.Module:
        """A network called as f(t, z), of z [B, *shape] and t, [] or [B], to [B, *shape]."""


class MLPField(Field):
    """A perceptron of layers that see the time, of vectors or of images read row by row.

    Args:
        width: units of a hidden layer.
        num_hidden: hidden layers.
        layer: how the time enters each layer.
        activation: of the hidden units.
        zero_init: start with nought for the last layer's weights, as RNODE's code does.
    Raises:
        UserError: a number is out of its range.
    """

    def __init__(
        self,
        width: int = 64,
        num_hidden: int = 3,
        layer: TimeLayer = "concatsquash",
        activation: Activation = "tanh",
        zero_init: bool = False,
    ) -> None:
        at_least(1, under="model.field.", width=width, num_hidden=num_hidden)
        self.width, self.num_hidden = width, num_hidden
        self.layer, self.activation, self.zero_init = layer, activation, zero_init

    def network(self, shape: Sequence[int]) -> nn.Module:
        features = math.prod(shape)
        sizes = [features, *[self.width] * self.num_hidden, features]
        layers = [LINEAR[self.layer](a, b) for a, b in itertools.pairwise(sizes)]
        return _Stack(layers, self.activation, self.zero_init, flatten=len(shape) > 1)


class ConvField(Field):
    """3x3 convolutions that see the time, of images: the field of FFJORD's image models.

    Args:
        width: hidden channels.
        num_hidden: hidden layers.
        layer: how the time enters each layer.
        activation: of the hidden units.
        zero_init: start with nought for the last layer's weights, as RNODE's code does.
    Raises:
        UserError: a number is out of its range.
    """

    def __init__(
        self,
        width: int = 64,
        num_hidden: int = 3,
        layer: TimeLayer = "concat",
        activation: Activation = "softplus",
        zero_init: bool = False,
    ) -> None:
        at_least(1, under="model.field.", width=width, num_hidden=num_hidden)
        self.width, self.num_hidden = width, num_hidden
        self.layer, self.activation, self.zero_init = layer, activation, zero_init

    def network(self, shape: Sequence[int]) -> nn.Module:
        _check_image("conv", shape)
        sizes = [shape[0], *[self.width] * self.num_hidden, shape[0]]
        layers = [CONV[self.layer](a, b) for a, b in itertools.pairwise(sizes)]
        return _Stack(layers, self.activation, self.zero_init)


class UNetField(Field):
    """A small U-Net of images (see `UNet`), as flow matching and diffusion models have them.

    Args:
        width: channels at full size, doubled with every halving.
        num_halvings: how often the image is halved; fewer where its sides are odd before.
    Raises:
        UserError: a number is out of its range.
    """

    def __init__(self, width: int = 32, num_halvings: int = 2) -> None:
        at_least(1, under="model.field.", width=width)
        at_least(0, under="model.field.", num_halvings=num_halvings)
        self.width, self.num_halvings = width, num_halvings

    def network(self, shape: Sequence[int]) -> nn.Module:
        _check_image("unet", shape)
        channels, *sides = shape
        fitting = next(n for n in range(self.num_halvings, -1, -1) if not any(side % 2**n for side in sides))
        return UNet(channels, self.width, fitting)


def _check_image(field: str, shape: Sequence[int]) -> None:
    if len(shape) != 3:
        raise UserError(
            f"model/field={field} needs images (C, H, W) but the data has shape {list(shape)}: choose model/field=mlp"
        )


class _Stack(nn.Module):
    """Layers of (t, z) with an activation in between."""

    def __init__(self, layers: Sequence[nn.Module], activation: Activation, zero_init: bool, flatten: bool = False):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.activation = ACTIVATIONS[activation]
        self.flatten = flatten
        if zero_init:
            for name, parameter in self.layers[-1].named_parameters():
                if name.endswith("weight"):
                    nn.init.zeros_(parameter)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        h = z.flatten(1) if self.flatten else z if z.dim() == 2 else fast_layout(z)
        *hidden, last = self.layers
        for layer in hidden:
            h = self.activation(layer(t, h))
        return last(t, h).view_as(z) if self.flatten else last(t, h)
