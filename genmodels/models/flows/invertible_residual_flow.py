"""What i-ResNet and Residual Flow share: a flow of invertible residual blocks, and the networks in them."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from genmodels.bijections.residual import InvertibleResidual, without_log_det
from genmodels.models.flows.flow import Flow
from genmodels.networks.contraction import Contraction
from genmodels.networks.lipschitz import LipschitzConv2d, LipschitzLinear
from genmodels.networks.slope_one import SlopeOne

Activation = Callable[[], SlopeOne]


class InvertibleResidualFlow(Flow):
    """A flow whose log-determinants are estimates in training, and in evaluation where its blocks are large.

    Every estimate is unbiased in log p, or nearly, and none in p. Sampling and encoding leave log-determinants out.
    """

    @property
    def estimates_log_prob(self) -> bool:
        return not all(block.log_det.is_exact(math.prod(self.shape)) for block in self._blocks())

    @property
    def exact(self) -> bool:
        return super().exact and not self.estimates_log_prob

    @property
    def protocol(self) -> Mapping[str, Any]:
        return {"log_det": self._blocks()[0].log_det.evaluation(math.prod(self.shape))}

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        with without_log_det(self._blocks()):
            return super().encode(x, y)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        with without_log_det(self._blocks()):
            return super().decode(z, y)

    def inverse_error(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        with without_log_det(self._blocks()):
            return super().inverse_error(x, y)

    def _blocks(self) -> list[InvertibleResidual]:
        return [module for module in self.modules() if isinstance(module, InvertibleResidual)]


def conv_net(
    channels: int,
    size: tuple[int, int],
    width: int,
    activation: Activation,
    lipschitz: float,
    iterations: int | None,
    is_first: bool,
) -> Contraction:
    """3x3 -> 1x1 -> 3x3 convolutions, an activation in front of each but the very first of the model.

    Args:
        size: height and width of the images.
        width: channels in between.
        lipschitz, iterations: `bound` and `iterations` of `Lipschitz`.
        is_first: whether the data itself comes in.
    Shapes: [B, channels, *size] -> the same.
    """
    channels_between = itertools.pairwise((channels, width, width, channels))
    layers = [
        LipschitzConv2d(ins, outs, kernel_size, size, lipschitz, iterations)
        for kernel_size, (ins, outs) in zip((3, 1, 3), channels_between, strict=True)
    ]
    return Contraction(layers, activation, activates_input=not is_first)


def dense_net(
    features: int,
    width: int,
    num_hidden: int,
    activation: Activation,
    lipschitz: float,
    iterations: int | None,
    is_first: bool,
) -> Contraction:
    """The same of fully connected layers with `num_hidden` hidden layers. Shapes: [B, features] -> the same."""
    sizes = itertools.pairwise((features, *[width] * num_hidden, features))
    layers = [LipschitzLinear(ins, outs, lipschitz, iterations) for ins, outs in sizes]
    return Contraction(layers, activation, activates_input=not is_first)
