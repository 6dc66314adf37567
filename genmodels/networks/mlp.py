"""A plain multi-layer perceptron."""

import itertools

import torch
from torch import Tensor, nn


class MLP(nn.Module):
    """Linear -> activation, `num_hidden` times, then a linear output.

    Shapes: [B, in_features] (and context [B, context_features], concatenated) -> [B, out_features].
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        width: int,
        num_hidden: int,
        context_features: int = 0,
        activation: type[nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        sizes = [in_features + context_features, *[width] * num_hidden]
        hidden = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), activation())]
        self.layers = nn.Sequential(*hidden, nn.Linear(sizes[-1], out_features))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.layers(x if context is None else torch.cat((x, context), dim=1))
