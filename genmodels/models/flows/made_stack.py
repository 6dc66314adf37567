"""What the flows made of MADEs share: a stack of Gaussian ones in alternating orders, and images read as vectors."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from genmodels.bijections import Autoregressive, Bijection, Compose, Flattened, GaussianConditional, Logit
from genmodels.networks.made_net import MADENet


def alternating_order(features: int, layer: int) -> Tensor:
    """The natural order of the dimensions in even layers, its reverse in odd ones."""
    order = torch.arange(features)
    return order.flip(0) if layer % 2 else order


def gaussian_layers(
    features: int,
    num_layers: int,
    hidden: Sequence[int],
    activation: Literal["relu", "tanh"],
    classes: int,
    degrees: Literal["sequential", "random"] = "sequential",
) -> list[Bijection]:
    """MADEs that give mean and log-variance of every dimension, from data to noise, the order reversed in between.

    Args:
        classes: width of the one-hot context that each sees; 0 for none.
    """
    orders = [alternating_order(features, layer) for layer in range(num_layers)]
    nets = [MADENet(features, 2, hidden, order, degrees, activation, classes) for order in orders]
    return [Autoregressive(net, GaussianConditional()) for net in nets]


def from_data(steps: Sequence[Bijection], shape: Sequence[int], alpha: float) -> Bijection:
    """`steps`, maps of vectors, one after another; on images behind a logit, see `Logit`."""
    return Compose(steps) if len(shape) == 1 else Flattened(Compose([Logit(alpha), *steps]), shape)
