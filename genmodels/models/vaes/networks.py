"""The pairs of networks that variational autoencoders are made of."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.networks.mlp import MLP
from genmodels.ranges import at_least


class Networks(ABC):
    """A choice of encoder and decoder; the sizes at their ends are the model's to say."""

    @abstractmethod
    def encoder(self, shape: Sequence[int], num_features: int, context_features: int) -> nn.Module:
        """From x in [0, 1] (or vectors), [B, *shape], and context [B, E] or None to features [B, num_features]."""

    @abstractmethod
    def decoder(self, num_latents: int, shape: Sequence[int], context_features: int) -> nn.Module:
        """From z [B, num_latents] and context [B, E] or None to the likelihood's parameters [B, *shape]."""


class DenseNetworks(Networks):
    """Encoder and decoder take their examples as flat vectors."""

    def encoder(self, shape: Sequence[int], num_features: int, context_features: int) -> nn.Module:
        return _Flattening(self._net(math.prod(shape), num_features, context_features))

    def decoder(self, num_latents: int, shape: Sequence[int], context_features: int) -> nn.Module:
        return _Unflattening(self._net(num_latents, math.prod(shape), context_features), shape)

    @abstractmethod
    def _net(self, in_features: int, out_features: int, context_features: int) -> nn.Module:
        """From [B, in_features] and context [B, context_features] or None to [B, out_features]."""


class MLPNetworks(DenseNetworks):
    """Two perceptrons, each of `num_hidden` layers; those of Kingma & Welling 2014, Appendix C, have one of tanh.

    Args:
        width: units of a hidden layer.
        num_hidden: hidden layers of either.
        activation: of the hidden units.
    Raises:
        UserError: a number is out of its range.
    """

    def __init__(self, width: int = 200, num_hidden: int = 2, activation: Literal["relu", "tanh"] = "tanh") -> None:
        at_least(1, under="model.networks.", width=width, num_hidden=num_hidden)
        self.width, self.num_hidden = width, num_hidden
        self.activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[activation]

    def _net(self, in_features: int, out_features: int, context_features: int) -> MLP:
        return MLP(in_features, out_features, self.width, self.num_hidden, context_features, self.activation)


class _Flattening(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self.net(x.flatten(1), context)


class _Unflattening(nn.Module):
    def __init__(self, net: nn.Module, shape: Sequence[int]) -> None:
        super().__init__()
        self.net = net
        self.shape = tuple(shape)

    def forward(self, z: Tensor, context: Tensor | None) -> Tensor:
        return self.net(z, context).unflatten(1, self.shape)


def image_of(networks: str, shape: Sequence[int]) -> tuple[int, tuple[int, int]]:
    """Channels, and height and width, of an image or of a likelihood's parameters for one.

    Args:
        networks: the choice that needs it, for the message.
    Raises:
        UserError: the data is not made of images.
    """
    if len(shape) != 3:
        raise UserError(
            f"model/networks={networks} needs images, but data.shape={list(shape)}; choose model/networks=mlp"
        )
    channels, height, columns = shape
    return channels, (height, columns)
