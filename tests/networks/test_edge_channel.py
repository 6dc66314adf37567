"""The edge channel of Glow's convolutions, against padding, appending a plane and convolving."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.networks.conv import EdgeAwareConv2d, ScaledConv2d, _taps_outside

LAYOUTS = (torch.contiguous_format, torch.channels_last)


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    _taps_outside.cache_clear()
    yield
    _taps_outside.cache_clear()


def convolution(kernel_size: int = 3) -> ScaledConv2d:
    torch.manual_seed(0)
    conv = ScaledConv2d(2, 3, kernel_size, edge=True).double()
    for parameter in conv.parameters():
        torch.nn.init.normal_(parameter)
    return conv


def by_definition(conv: ScaledConv2d, x: Tensor) -> Tensor:
    inner: EdgeAwareConv2d = conv.conv
    assert inner.edge_weight is not None
    around = [inner.padding] * 4
    plane = F.pad(torch.zeros_like(x[:, :1]), around, value=1.0)
    kernel = torch.cat((inner.weight, inner.edge_weight), dim=1)
    out = F.conv2d(torch.cat((F.pad(x, around), plane), dim=1), kernel) + conv.bias[:, None, None]
    return out * torch.exp(3 * conv.logs)[:, None, None]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_values_and_gradients(layout: torch.memory_format, kernel_size: int) -> None:
    """Of sides that differ, and smaller than the kernel."""
    conv = convolution(kernel_size)
    for height, width in ((4, 5), (2, 1)):
        x = torch.randn(3, 2, height, width, dtype=torch.float64).to(memory_format=layout).requires_grad_()
        found, expected = conv(x), by_definition(conv, x)
        torch.testing.assert_close(found, expected)
        weights = torch.randn_like(expected)
        wanted = [x, *conv.parameters()]
        gradients = (torch.autograd.grad((out * weights).sum(), wanted) for out in (found, expected))
        for ours, theirs in zip(*gradients, strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_first_and_second_derivatives(layout: torch.memory_format) -> None:
    conv = convolution()
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64).to(memory_format=layout).requires_grad_()

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        states = dict(zip(dict(conv.named_parameters()), parameters, strict=True))
        return torch.func.functional_call(conv, states, (x,)).tanh()

    assert torch.autograd.gradcheck(run, (x, *conv.parameters()))
    assert torch.autograd.gradgradcheck(run, (x, *conv.parameters()))


def test_sizes_and_layouts_in_turns_in_evaluation() -> None:
    """One kept kernel serves them all."""
    conv = convolution().eval()
    with torch.no_grad():
        for sides in ((4, 5), (3, 2), (4, 5)):
            x = torch.randn(3, 2, *sides, dtype=torch.float64)
            for layout in LAYOUTS:
                torch.testing.assert_close(conv(x.to(memory_format=layout)), by_definition(conv, x))


def test_training_after_validation_in_inference_mode() -> None:
    conv = convolution()
    x = torch.randn(3, 2, 4, 5, dtype=torch.float64)
    with torch.inference_mode():
        conv.eval()(x)
    conv.train()(x).sum().backward()
    assert conv.conv.edge_weight is not None
    assert conv.conv.edge_weight.grad is not None
    assert conv.conv.edge_weight.grad.any()
