"""MADE: a masked MLP whose outputs for a dimension see only the dimensions before it (Germain et al. 2015)."""

import itertools
from collections.abc import Callable, Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Block = tuple[Tensor, Tensor]  # weight [rows, columns], bias [rows, 1]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "tanh": torch.tanh}


class MaskedLinear(nn.Linear):
    """y = (mask * W) x + b; mask * W is kept while no gradient is asked for and W does not change.

    Starts with W ~ N(0, 1) / sqrt(in_features + 1) and b = 0, as in the official MAF code.

    Args:
        mask: [out_features, in_features] of bool; which inputs an output sees.
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        nn.init.normal_(self.weight, std=(mask.shape[1] + 1) ** -0.5)
        nn.init.zeros_(self.bias)
        self.register_buffer("mask", mask, persistent=False)
        self._cached: tuple[tuple[object, ...], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self._masked(), self.bias)

    def _masked(self) -> Tensor:
        if torch.is_grad_enabled() and self.weight.requires_grad:
            return self.weight * self.mask
        key = (*version(self.weight), *version(self.mask))
        if self._cached is None or self._cached[0] != key:
            self._cached = (key, self.weight * self.mask)
        return self._cached[1]


def version(tensor: Tensor) -> tuple[object, ...]:
    """Changes when `tensor` does: in-place updates raise its version, a move to a device or dtype its storage."""
    return tensor._version, tensor.data_ptr(), tensor.dtype


class MADENet(nn.Module):
    """h_i = net(x_j for all j before i in `order`), for all i in one pass.

    Every input has the degree of its place in the order, 1 .. D; a hidden unit sees the units of the layer below of
    its own degree or less, the outputs of a dimension those of less than its own (Germain et al. 2015, Equations 8
    to 13). Degrees of hidden units as in the official MAF code: sequential ones cycle through 1 .. D-1, random ones
    are uniform from the smallest degree of the layer below to D-1. Here the units of a layer are sorted by degree,
    which only numbers them anew: then masks are staircases, and `unroll` finds the units of a degree side by side.
    Where a hidden layer is narrower than D-1, sequential degrees leave the dimensions late in the order unseen.

    Args:
        features: D.
        outputs_per_dim: numbers for each dimension, stacked as `Elementwise` wants them.
        hidden: widths of the hidden layers, at least one.
        order: order[k] is the dimension that comes k-th; None for 0 .. D-1.
        degrees: of the hidden units; random ones are drawn from torch's generator, and saved.
        activation: of the hidden units.
    Raises:
        ValueError: `order` is not a permutation of the dimensions, or there is no hidden layer.
    Shapes: x [B, D] -> h [B, outputs_per_dim * D].
    """

    order: Tensor

    def __init__(
        self,
        features: int,
        outputs_per_dim: int,
        hidden: Sequence[int],
        order: Tensor | None = None,
        degrees: Literal["sequential", "random"] = "sequential",
        activation: Literal["relu", "tanh"] = "relu",
    ) -> None:
        super().__init__()
        order = torch.arange(features) if order is None else order
        if not torch.equal(order.sort().values, torch.arange(features)):
            raise ValueError(f"not an order of {features} dimensions: {order.tolist()}")
        if not hidden:
            raise ValueError("hidden must name the width of at least one layer")
        self.features, self.outputs_per_dim = features, outputs_per_dim
        self.register_buffer("order", order)
        self._num_hidden = len(hidden)
        below = 1
        for index, width in enumerate(hidden):
            own = _degrees(width, features, below, degrees)
            below = int(own[0])
            self.register_buffer(f"degrees{index}", own)
        self.activation = ACTIVATIONS[activation]
        self.layers = nn.ModuleList(MaskedLinear(mask) for mask in self._masks())
        self._cached: tuple[object, list[list[Block]]] | None = None

    def forward(self, x: Tensor) -> Tensor:
        *hidden, last = self._layers()
        for layer in hidden:
            x = self.activation(layer(x))
        return last(x)

    def unroll(self, like: Tensor, choose: Callable[[int, Tensor], Tensor]) -> Tensor:
        """x, one dimension after the other, each chosen once the network's outputs for it are known.

        Each hidden unit is computed once, as soon as the last dimension that it sees is known: all D steps together
        cost about one pass, where the plain way takes D passes.

        Args:
            like: [B, ...] gives batch size, dtype and device.
            choose: (i, h_i [B, outputs_per_dim]) -> x_i [B, 1].
        Returns: [B, D].
        """
        batch = len(like)
        inputs = _Rows(self.features, batch, like)
        hidden = [_Rows(len(d), batch, like) for d in self._hidden_degrees()]
        for i, blocks in zip(self.order.tolist(), self._steps(), strict=True):
            below = inputs
            for (weight, bias), rows in zip(blocks, hidden, strict=False):
                if len(bias):
                    rows.append(self.activation(torch.addmm(bias, weight, below.known())))
                below = rows
            weight, bias = blocks[-1]
            inputs.append(choose(i, torch.addmm(bias, weight, below.known()).T).T)
        return inputs.known()[self.order.argsort()].T

    def _steps(self) -> list[list[Block]]:
        """For each step the part of every layer that it needs; kept while no gradient is asked for."""
        if torch.is_grad_enabled():
            return self._cut()
        key = [version(tensor) for tensor in (*self.parameters(), *self.buffers())]
        if self._cached is None or self._cached[0] != key:
            self._cached = (key, self._cut())
        return self._cached[1]

    def _cut(self) -> list[list[Block]]:
        """Step d: in each hidden layer the units of degree d, which see d inputs; then the outputs of degree d + 1."""
        first, *middle, last = self._layers()
        counts = [torch.bincount(degrees, minlength=self.features).tolist() for degrees in self._hidden_degrees()]
        seen = [range(self.features), *(list(itertools.accumulate(count)) for count in counts)]
        outputs = (self.order[:, None] + self.features * torch.arange(self.outputs_per_dim).to(self.order)).flatten()
        weights = [first.weight[:, self.order], *(layer.weight for layer in middle), last.weight[outputs]]
        biases = [first.bias, *(layer.bias for layer in middle), last.bias[outputs]]
        sizes = [*counts, [self.outputs_per_dim] * self.features]
        parts = [
            [(w[:, :n], b[:, None]) for w, b, n in zip(weight.split(size), bias.split(size), columns, strict=True)]
            for weight, bias, size, columns in zip(weights, biases, sizes, seen, strict=True)
        ]
        return [list(step) for step in zip(*parts, strict=True)]

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
            layer.mask.copy_(mask)


class _Rows:
    """Rows of activations, appended block by block: in one buffer, or joined anew where gradients flow."""

    def __init__(self, size: int, batch: int, like: Tensor) -> None:
        self._buffer = like.new_empty(0 if torch.is_grad_enabled() else size, batch)
        self._blocks: list[Tensor] = []
        self._count = 0

    def append(self, block: Tensor) -> None:
        if torch.is_grad_enabled():
            self._blocks.append(block)
        else:
            self._buffer[self._count : self._count + len(block)] = block
            self._count += len(block)

    def known(self) -> Tensor:
        return torch.cat(self._blocks) if self._blocks else self._buffer[: self._count]


def _degrees(width: int, features: int, smallest: int, kind: str) -> Tensor:
    last = features - 1
    if kind == "random":
        return torch.randint(min(smallest, last), last + 1, (width,)).sort().values
    return (torch.arange(width) % max(1, last) + min(1, last)).sort().values
