"""Values computed from parameters once instead of in every call: inverse matrices, masked weights, folded kernels."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Value = TypeVar("Value")


class CachesInEval(nn.Module):
    """A module that keeps values computed from its tensors while it is in `eval()` and no gradient is asked for.

    They are forgotten with every `train()`, `eval()` and move, and when one is asked for together with a gradient: a
    fused optimiser's step changes parameters without raising their version, so versions alone do not tell. They do
    tell of loaded states and swapped-in averages. A copy or a pickle holds none.
    """

    _kept: Mapping[str, tuple[list[Any], Any, list[Tensor]]] = MappingProxyType({})

    def train(self, mode: bool = True) -> Any:
        """As of every module; forgets what is kept."""
        self._kept = {}
        return super().train(mode)

    def cached(self, compute: Callable[[], Value], *tensors: Tensor) -> Value:
        """`compute()`, or what it returned before if neither `tensors` nor autocast have changed since.

        Args:
            compute: a function or method; its name tells several values of one module apart.
        """
        if self.training or torch.is_grad_enabled() or torch.compiler.is_compiling():
            self._kept = {}
            return compute()
        key = [(tensor._version, tensor.data_ptr()) for tensor in tensors] + [_autocast_of(t) for t in tensors[:1]]
        found = self._kept.get(compute.__name__)
        if found is None or found[0] != key:
            # Their memory is held as well: freed, it could hold other numbers under the same address and version.
            found = (key, compute(), [tensor.detach() for tensor in tensors])
            self._kept = {**self._kept, compute.__name__: found}
        return found[1]

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self._kept = {}
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}


def _autocast_of(tensor: Tensor) -> Any:
    kind = tensor.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
