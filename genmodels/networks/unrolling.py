"""A MADE taken one dimension after the other: D steps for about the cost of one pass."""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class StepwiseLayer:
    """The unmasked part of a layer: for each step the rows of weight and bias, and the columns, that enter.

    Args:
        weight, bias: [units, inputs] and [units], both in the order of the steps.
        rows: units of each step.
        columns: inputs that those see, always the first ones.
    """

    def __init__(self, weight: Tensor, bias: Tensor, rows: Sequence[int], columns: Sequence[int]) -> None:
        self.weights = [block[:, :n] for block, n in zip(weight.split(rows), columns, strict=True)]
        self.bias = bias[:, None]
        self.rows = rows
        self.up_to = list(itertools.accumulate(rows))


class Unrolling:
    """The outputs of a network for one step after the other; each hidden unit is computed once.

    Args:
        layers: the last has the outputs of each step as its rows.
        activation: of the hidden units.
        batch: B.
        shifts: for each layer [B, units] added to the bias, or None.
        direct: for each step the weights [outputs, inputs so far] of connections from inputs to outputs, or None.
    """

    def __init__(
        self,
        layers: Sequence[StepwiseLayer],
        activation: Callable[[Tensor], Tensor],
        batch: int,
        shifts: Sequence[Tensor | None] | None = None,
        direct: Sequence[Tensor] | None = None,
    ) -> None:
        shifts = [None] * len(layers) if shifts is None else shifts
        *self._hidden, self._last = (_Rows(*layer, batch) for layer in zip(layers, shifts, strict=True))
        self._activation = activation
        self._direct = direct

    def outputs(self, step: int, inputs: Tensor) -> Tensor:
        """[outputs of the step, B] from the inputs [step, B] before it; to be called for every step, once, in order."""
        below = inputs
        for rows in self._hidden:
            below = rows.grow(step, below, self._activation)
        outputs = self._last.block(step, below)
        return outputs if self._direct is None else torch.addmm(outputs, self._direct[step], inputs)


class _Rows:
    """Units [units, B] of a layer, computed step by step: in one buffer, or joined anew where gradients flow.

    Args:
        shift: [B, units] added to the bias, or None.
    """

    def __init__(self, layer: StepwiseLayer, shift: Tensor | None, batch: int) -> None:
        self._layer = layer
        self._in_place = not torch.is_grad_enabled()
        bias = layer.bias if shift is None else layer.bias + shift.t()
        # Starts as the bias, which addmm_ then adds to.
        self._buffer = bias.expand(-1, batch).clone() if self._in_place else bias
        self._blocks = self._buffer.split(layer.rows)
        self._known = self._buffer.new_empty(0, batch)

    def block(self, step: int, below: Tensor) -> Tensor:
        """The units of one step before the activation, from all units known in the layer below."""
        weight, bias = self._layer.weights[step], self._blocks[step]
        return bias.addmm_(weight, below) if self._in_place else torch.addmm(bias, weight, below)

    def grow(self, step: int, below: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        """Add the units of one step; returns all units so far."""
        if self._layer.rows[step]:
            block = activation(self.block(step, below))
            up_to = self._layer.up_to[step]
            self._known = self._buffer[:up_to] if self._in_place else torch.cat((self._known, block))
        return self._known
