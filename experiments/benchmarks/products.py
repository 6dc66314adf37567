"""The convolutions, matrix products and attention of any model, recorded in one forward pass and replayed alone."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

CONVOLUTIONS = {F.conv1d, F.conv2d, F.conv_transpose2d}
PRODUCTS = CONVOLUTIONS | {
    F.linear,
    F.scaled_dot_product_attention,
    torch.matmul,
    torch.bmm,
    torch.mm,
    torch.addmm,
    torch.baddbmm,
    torch.einsum,
    Tensor.matmul,
    Tensor.bmm,
    Tensor.mm,
    Tensor.__matmul__,
}

Call = tuple[Callable, tuple, dict[str, Any]]


class BareProducts(nn.Module):
    """Every such call that `run` makes, each on random input of its own and with its weights as plain tensors.

    Inputs keep their shape and strides, but convolutions run in channels-last layout and 1x1 ones as matrix products
    over pixels, the fastest on CPU. What needed no gradient, as the image itself, needs none here. Nothing else is
    left: no masking or normalising of weights, no padding beyond the call's own, no activation, loss or optimiser.

    Args:
        run: a forward pass, with gradient.
    """

    def __init__(self, run: Callable[[], object]) -> None:
        super().__init__()
        with _Recorder() as recorder:
            run()
        self.calls = [_on_random_input(call) for call in recorder.calls]
        self.output_gradients = [torch.randn_like(output.detach()) for output in self()]
        self.inputs = [t for _, args, kwargs in self.calls for t in _tensors((args, kwargs)) if t.requires_grad]

    def forward(self) -> list[Tensor]:
        """One output for each call."""
        return [function(*args, **kwargs) for function, args, kwargs in self.calls]

    def forward_and_backward(self) -> tuple[Tensor, ...]:
        """Gradients for all inputs and weights."""
        return torch.autograd.grad(self(), self.inputs, self.output_gradients)

    def twice_backward(self) -> tuple[Tensor, ...]:
        """Gradients of a penalty on the gradient of the first arguments, by the latter's own: weights and what comes.

        What stands between the calls is taken to be piecewise linear, so that the first arguments get none.
        """
        first = [args[0] for _, args, _ in self.calls]
        slopes = [gradient.requires_grad_() for gradient in self.output_gradients]
        gradients = torch.autograd.grad(self(), first, slopes, create_graph=True)
        return torch.autograd.grad(gradients, [*slopes, *(args[1] for _, args, _ in self.calls)], first)


class _Recorder(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func in PRODUCTS:
            self.calls.append((func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))


def _on_random_input(call: Call) -> Call:
    function, args, kwargs = _pointwise_as_product(call)
    channels_last = function in CONVOLUTIONS

    def alike(tensor: Tensor) -> Tensor:
        return _random_like(tensor, channels_last)

    return function, tree_map_only(Tensor, alike, args), tree_map_only(Tensor, alike, kwargs)


def _pointwise_as_product(call: Call) -> Call:
    function, (x, kernel, *rest), kwargs = call
    if function is not F.conv2d or kernel.shape[1:] != (x.shape[1], 1, 1) or len(rest) > 1 or set(kwargs) - {"bias"}:
        return call
    pixels = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
    return F.linear, (pixels, kernel.flatten(1), *rest), kwargs


def _random_like(tensor: Tensor, channels_last: bool) -> Tensor:
    if tensor.dtype == torch.bool:
        return tensor.detach()
    if channels_last and tensor.dim() == 4:
        out = torch.empty(tensor.shape, memory_format=torch.channels_last)
    elif 0 in tensor.stride():
        out = torch.empty(tensor.shape)
    else:
        out = torch.empty_strided(tensor.shape, tensor.stride())
    return out.normal_().mul_(0.1).requires_grad_(tensor.requires_grad)


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]
