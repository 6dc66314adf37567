"""Values computed from parameters once instead of in every call: inverse matrices, masked weights."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Value = TypeVar("Value")


class CachesInEval(nn.Module):
    """A module that keeps a value computed from its tensors while it is in `eval()` and no gradient is asked for.

    The value is forgotten with every `train()` and `eval()`: a fused optimiser's step changes parameters without
    raising their version, so versions alone do not tell. They do tell of loaded states and swapped-in averages, and a
    tensor's storage and dtype of a move.
    """

    _cached: tuple[list[Any], Any] | None = None

    def train(self, mode: bool = True) -> Any:
        """As of every module; forgets the cached value."""
        self._cached = None
        return super().train(mode)

    def cached(self, compute: Callable[[], Value], *tensors: Tensor) -> Value:
        """`compute()`, or what it returned before if `tensors` have not changed since."""
        if self.training or torch.is_grad_enabled():
            return compute()
        key = [(tensor._version, tensor.data_ptr(), tensor.dtype) for tensor in tensors]
        if self._cached is None or self._cached[0] != key:
            self._cached = (key, compute())
        return self._cached[1]
