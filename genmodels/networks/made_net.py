"""MADE: a masked MLP whose outputs for a dimension see only the dimensions before it (Germain et al. 2015)."""

import itertools
from collections.abc import Callable, Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.autoregressive_net import AutoregressiveNet
from genmodels.networks.eval_cache import CachesInEval
from genmodels.networks.staircase import Cut, StaircaseLinear, cuts_of
from genmodels.networks.unrolling import StepwiseLayer, Unrolling

Activation = Callable[[Tensor], Tensor]
# In place: what they overwrite, a linear map's result, nobody needs again.
ACTIVATIONS: dict[str, Activation] = {"relu": torch.relu_, "tanh": torch.tanh_, "elu": F.elu_}


class MaskedLinear(CachesInEval, nn.Linear):
    """y = (mask * W) x + b; mask * W is kept in `eval()`.

    Starts with W ~ N(0, 1) / sqrt(in_features + 1) and b = 0, as in the official MAF code.

    Args:
        mask: [out_features, in_features] of bool; which inputs an output sees.
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        nn.init.normal_(self.weight, std=(mask.shape[1] + 1) ** -0.5)
        nn.init.zeros_(self.bias)
        # As numbers: a product with booleans takes five times as long.
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)
        self._cuts: list[Cut] = cuts_of(mask)

    def set_mask(self, mask: Tensor) -> None:
        self.mask.copy_(mask)
        self._cuts = cuts_of(mask)

    def forward(self, x: Tensor) -> Tensor:
        # Small products pay on CPUs only, and autocast knows nothing of them.
        if torch.is_grad_enabled() and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            return StaircaseLinear.apply(x, self.weight, self.bias, self.mask, self._cuts)
        return F.linear(x, self.cached(lambda: self.weight * self.mask, self.weight, self.mask), self.bias)


class MADENet(AutoregressiveNet, CachesInEval):
    """h_i = net(x_j for all j before i in `order`), for all i in one pass.

    Every input has the degree of its place in the order, 1 .. D; a hidden unit sees the units of the layer below of
    its own degree or less, the outputs of a dimension those of less than its own (Germain et al. 2015, Equations 8
    to 13). Degrees of hidden units as in the official MAF code: sequential ones cycle through 1 .. D-1, random ones
    are uniform from the smallest degree of the layer below to D-1. Here the units of a layer are sorted by degree,
    which only numbers them anew: then masks are staircases, and `unroll` finds the units of a degree side by side.
    Where a hidden layer is narrower than D-1, sequential degrees leave the dimensions late in the order unseen.

    A context is seen by all: an unmasked linear map of it is added to the first hidden layer, as in the official MAF
    code, and, beyond that code, one to the outputs, since those of the first dimension see no hidden unit.

    Args:
        features: D.
        outputs_per_dim: numbers for each dimension, stacked as `Elementwise` wants them.
        hidden: widths of the hidden layers, at least one.
        order: order[k] is the dimension that comes k-th; None for 0 .. D-1.
        degrees: of the hidden units; random ones are drawn from torch's generator, and saved.
        activation: of the hidden units.
        context_features: E; 0 for a network without context.
    Raises:
        ValueError: `order` is not a permutation of the dimensions, or there is no hidden layer.
    Shapes: x [B, D], context [B, E] or None -> h [B, outputs_per_dim * D].
    """

    order: Tensor

    def __init__(
        self,
        features: int,
        outputs_per_dim: int,
        hidden: Sequence[int],
        order: Tensor | None = None,
        degrees: Literal["sequential", "random"] = "sequential",
        activation: Literal["relu", "tanh", "elu"] = "relu",
        context_features: int = 0,
    ) -> None:
        super().__init__()
        order = torch.arange(features) if order is None else order
        if not torch.equal(order.sort().values, torch.arange(features)):
            raise ValueError(f"not an order of {features} dimensions: {order.tolist()}")
        if not hidden:
            raise ValueError("hidden must name the width of at least one layer")
        self.features, self.outputs_per_dim = features, outputs_per_dim
        self.num_steps = features
        self.register_buffer("order", order)
        self._num_hidden = len(hidden)
        below = 1
        for index, width in enumerate(hidden):
            own = _degrees(width, features, below, degrees)
            below = int(own[0])
            self.register_buffer(f"degrees{index}", own)
        self.activation = ACTIVATIONS[activation]
        self.layers = nn.ModuleList(MaskedLinear(mask) for mask in self._masks())
        self.of_context: nn.Linear | None = None
        if context_features:
            self.of_context = nn.Linear(context_features, hidden[0] + outputs_per_dim * features, bias=False)
            nn.init.normal_(self.of_context.weight, std=(context_features + 1) ** -0.5)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        first, *middle, last = self._layers()
        to_first, to_outputs = self._from_context(context)
        x = self.activation(_shifted(first(x), to_first))
        for layer in middle:
            x = self.activation(layer(x))
        return _shifted(last(x), to_outputs)

    @property
    def output_bias(self) -> nn.Parameter:
        """[outputs_per_dim * D]."""
        return self._layers()[-1].bias

    def unroll(self, like: Tensor, choose: Callable[[int, Tensor], Tensor], context: Tensor | None = None) -> Tensor:
        """x, one dimension after the other, each chosen once the network's outputs for it are known.

        Each hidden unit is computed once, as soon as the last dimension that it sees is known: all D steps together
        cost about one pass, where the plain way takes D passes.

        Args:
            like: [B, ...] gives batch size, dtype and device.
            choose: (i, h_i [B, outputs_per_dim]) -> x_i [B, 1].
            context: [B, E] or None.
        Returns: [B, D].
        """
        to_first, to_outputs = self._from_context(context)
        shifts = [
            to_first,
            *[None] * (self._num_hidden - 1),
            None if to_outputs is None else to_outputs[:, self._outputs_by_step()],
        ]
        unrolling = Unrolling(self._stepwise_layers(), self.activation, like.shape[0], shifts)
        inputs = like.new_empty(0, like.shape[0])
        for step, i in enumerate(self.order.tolist()):
            inputs = torch.cat((inputs, choose(i, unrolling.outputs(step, inputs).t()).t()))
        return inputs[self.order.argsort()].t()

    def _stepwise_layers(self) -> list[StepwiseLayer]:
        """One for each layer; kept in `eval()`."""
        return self.cached(self._cut, *self.parameters(), *self.buffers())

    def _cut(self) -> list[StepwiseLayer]:
        """Step d: in each hidden layer the units of degree d, which see d inputs; then the outputs of degree d + 1."""
        first, *middle, last = self._layers()
        counts = [torch.bincount(degrees, minlength=self.features).tolist() for degrees in self._hidden_degrees()]
        seen = [list(range(self.features)), *(list(itertools.accumulate(count)) for count in counts)]
        outputs = self._outputs_by_step()
        weights = [first.weight[:, self.order], *(layer.weight for layer in middle), last.weight[outputs]]
        biases = [first.bias, *(layer.bias for layer in middle), last.bias[outputs]]
        counts.append([self.outputs_per_dim] * self.features)
        return [StepwiseLayer(*layer) for layer in zip(weights, biases, counts, seen, strict=True)]

    def _outputs_by_step(self) -> Tensor:
        """Positions of the outputs in the order of the steps, those of a dimension side by side."""
        return (self.order[:, None] + self.features * torch.arange(self.outputs_per_dim).to(self.order)).flatten()

    def _from_context(self, context: Tensor | None) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """What the context adds to the first hidden layer, [B, units], and to the outputs."""
        if self.of_context is None:
            return None, None
        first = self._layers()[0].out_features
        shift = self.of_context(context)
        return shift[:, :first], shift[:, first:]

    def _layers(self) -> list[MaskedLinear]:
        return cast(list[MaskedLinear], list(self.layers))

    def _hidden_degrees(self) -> list[Tensor]:
        return [getattr(self, f"degrees{index}") for index in range(self._num_hidden)]

    def _masks(self) -> list[Tensor]:
        of_inputs = 1 + self.order.argsort()
        degrees = [of_inputs, *self._hidden_degrees()]
        masks = [above[:, None] >= below for below, above in itertools.pairwise(degrees)]
        return [*masks, of_inputs.repeat(self.outputs_per_dim)[:, None] > degrees[-1]]

    def _load_from_state_dict(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super()._load_from_state_dict(*args, **kwargs)
        for layer, mask in zip(self._layers(), self._masks(), strict=True):
            layer.set_mask(mask)


def _shifted(h: Tensor, shift: Tensor | None) -> Tensor:
    return h if shift is None else h + shift


def _degrees(width: int, features: int, smallest: int, kind: str) -> Tensor:
    last = features - 1
    if kind == "random":
        return torch.randint(min(smallest, last), last + 1, (width,)).sort().values
    return (torch.arange(width) % max(1, last) + min(1, last)).sort().values
