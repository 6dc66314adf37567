"""Perceptrons whose hidden units are gated."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GatedMLP(nn.Module):
    """(W x + b) * sigmoid(V x + c), `num_hidden` times, then a linear output, as in VampPrior's official code.

    Weights start as N(0, 2 / fan-in). The two products of a layer are one.

    Shapes: [B, in_features] (and context [B, context_features], concatenated) -> [B, out_features].
    """

    def __init__(
        self, in_features: int, out_features: int, width: int, num_hidden: int, context_features: int = 0
    ) -> None:
        super().__init__()
        sizes = [in_features + context_features, *[width] * num_hidden]
        self.layers = nn.Sequential(*itertools.starmap(GatedLinear, itertools.pairwise(sizes)))
        self.output = he_normal(nn.Linear(sizes[-1], out_features))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.output(self.layers(x if context is None else torch.cat((x, context), dim=1)))


class GatedLinear(nn.Module):
    """(W x + b) * sigmoid(V x + c). Shapes: [B, in_features] -> [B, out_features]."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.both = he_normal(nn.Linear(in_features, 2 * out_features))

    def forward(self, x: Tensor) -> Tensor:
        return F.glu(self.both(x), dim=1)


def he_normal(layer: nn.Linear) -> nn.Linear:
    """`layer`, its weights drawn from N(0, 2 / fan-in) (He et al. 2015); its biases stay."""
    nn.init.kaiming_normal_(layer.weight)
    return layer
