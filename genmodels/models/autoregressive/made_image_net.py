"""MADE with many masks for one set of weights: order and connectivity differ (Germain et al. 2015)."""

import itertools
from collections.abc import Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.eval_cache import CachesInEval
from genmodels.networks.made_net import ACTIVATIONS
from genmodels.networks.unrolling import StepwiseLayer, Unrolling


class ManyOrdersMADE(CachesInEval):
    """h_i = net_k(x_j for all j before i in order k), for all i in one pass; k = 0 .. K - 1 share the weights.

    Every k has a random order and random degrees of the hidden units, uniform from the smallest degree of the layer
    below to D - 1, as in the official code ("Full" shuffling). Masks are computed from the degrees in every pass, and
    only the latest is kept in `eval()`: 32 stored ones would take 32 times the memory of the weights.

    Args:
        features: D.
        outputs_per_dim: V numbers for each dimension.
        hidden: widths of the hidden layers, at least one.
        num_orders: K.
        direct: whether inputs are also connected to the outputs, with masks too.
        activation: of the hidden units.
    Shapes: x [B, D] -> h [B, V * D].
    """

    places: Tensor

    def __init__(
        self,
        features: int,
        outputs_per_dim: int,
        hidden: Sequence[int],
        num_orders: int = 1,
        direct: bool = True,
        activation: Literal["relu", "tanh"] = "relu",
    ) -> None:
        super().__init__()
        self.features, self.outputs_per_dim = features, outputs_per_dim
        # The degrees of the inputs: from 1, for the dimension that comes first, to D.
        self.register_buffer("places", 1 + torch.stack([torch.randperm(features) for _ in range(num_orders)]).int())
        degrees = [_hidden_degrees(hidden, features) for _ in range(num_orders)]
        for layer, of_layer in enumerate(zip(*degrees, strict=True)):
            self.register_buffer(f"degrees{layer}", torch.stack(of_layer).int())
        outputs = outputs_per_dim * features
        widths = [features, *hidden, outputs]
        self.layers = nn.ModuleList(_LinearByDegrees(*sizes) for sizes in itertools.pairwise(widths))
        self.direct = _LinearByDegrees(features, outputs, bias=False) if direct else None
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor, k: int) -> Tensor:
        *hidden, last = self._layers()
        of_inputs, *degrees = self._degrees(k)
        h = x
        for layer, (below, above) in zip(hidden, itertools.pairwise((of_inputs, *degrees)), strict=True):
            h = self.activation(layer(h, above, below))
        outputs = last(h, of_inputs, degrees[-1], strictly=True)
        return outputs if self.direct is None else outputs + self.direct(x, of_inputs, of_inputs, strictly=True)

    def order(self, k: int) -> Tensor:
        """[D], the dimension that comes t-th in order k."""
        return self.places[k].argsort()

    def unrolling(self, k: int, batch: int) -> Unrolling:
        """The outputs of one step of order k after the other, for `batch` inputs."""
        layers, direct = self.cached(lambda: self._cut(k), *self.parameters(), *self._degrees(k))
        return Unrolling(layers, self.activation, batch, direct=direct)

    def _cut(self, k: int) -> tuple[list[StepwiseLayer], list[Tensor] | None]:
        """Step d: in each hidden layer the units of degree d, which see d inputs; then the outputs of one dimension."""
        order, hidden = self.order(k), self._degrees(k)[1:]
        outputs = (order[:, None] + self.features * torch.arange(self.outputs_per_dim).to(order)).flatten()
        units = [order, *(degrees.argsort() for degrees in hidden), outputs]
        counts = [torch.bincount(degrees, minlength=self.features).tolist() for degrees in hidden]
        seen = [list(range(self.features)), *(list(itertools.accumulate(count)) for count in counts)]
        counts.append([self.outputs_per_dim] * self.features)
        weights = [
            layer.weight[to][:, of] for layer, (of, to) in zip(self._layers(), itertools.pairwise(units), strict=True)
        ]
        biases = [cast(Tensor, layer.bias)[to] for layer, to in zip(self._layers(), units[1:], strict=True)]
        layers = [StepwiseLayer(*layer) for layer in zip(weights, biases, counts, seen, strict=True)]
        if self.direct is None:
            return layers, None
        direct = self.direct.weight[outputs][:, order].split(self.outputs_per_dim)
        return layers, [weight[:, :step] for step, weight in enumerate(direct)]

    def _layers(self) -> list["_LinearByDegrees"]:
        return cast(list[_LinearByDegrees], list(self.layers))

    def _degrees(self, k: int) -> list[Tensor]:
        """Of the inputs and of each hidden layer."""
        return [self.places[k], *(getattr(self, f"degrees{layer}")[k] for layer in range(len(self.layers) - 1))]


class _LinearByDegrees(CachesInEval):
    """A linear map of which a unit sees the inputs of its own degree or less, or of less; starts as `MaskedLinear`."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features).normal_(std=(in_features + 1) ** -0.5))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def forward(self, x: Tensor, above: Tensor, below: Tensor, strictly: bool = False) -> Tensor:
        """`above` [units / V] serves V units each, as the outputs of a dimension."""

        def masked() -> Tensor:
            seen = above[:, None] > below if strictly else above[:, None] >= below
            # As numbers: a product with booleans takes longer.
            return (self.weight.unflatten(0, (-1, len(above))) * seen.to(self.weight.dtype)).flatten(0, 1)

        return F.linear(x, self.cached(masked, self.weight, above, below), self.bias)


def _hidden_degrees(hidden: Sequence[int], features: int) -> list[Tensor]:
    smallest, degrees = 1, []
    for width in hidden:
        # On the CPU even where the model is on "meta": the next layer needs the smallest.
        degrees.append(torch.randint(min(smallest, features - 1), features, (width,), device="cpu"))
        smallest = int(degrees[-1].min())
    return degrees
