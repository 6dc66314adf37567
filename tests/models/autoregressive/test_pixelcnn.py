"""What is special to PixelCNN: its blind spot, and its size."""

import pytest
import torch

from genmodels.distributions import Bernoulli, Categorical
from genmodels.models import PixelCNN


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_the_blind_spot_is_a_wedge_to_the_upper_right(num_layers: int) -> None:
    torch.manual_seed(0)
    shape = (1, 8, 24)
    model = PixelCNN(shape, Bernoulli(shape, 2), num_layers, 12, 24).double()
    row, column = 7, 11
    x = torch.randn(8, *shape, dtype=torch.double, requires_grad=True)
    (grad,) = torch.autograd.grad((model.conditionals(x)[:, :, row, column] ** 2).sum(), x)
    reached = (grad != 0).any(dim=0)[0]
    columns = torch.arange(24)
    expected = torch.zeros(8, 24, dtype=torch.bool)
    for above in range(min(row, 3 + num_layers) + 1):
        # To the left every layer takes its full step in any row. To the right a 3x3 convolution takes its step of one
        # only together with a step up, and the first layer its three with one at least.
        right = 3 + min(above - 1, num_layers) if above else -1
        expected[row - above] = (columns >= column - 3 - num_layers) & (columns <= column + right)
    assert torch.equal(reached, expected)


def test_number_of_parameters_at_the_size_for_cifar10() -> None:
    shape = (3, 32, 32)
    with torch.device("meta"):
        model = PixelCNN(shape, Categorical(shape, 256), 15, 128, 1024)
    h, out, values = 129, 1026, 768  # rounded up to multiples of 3
    first = 2 * h * (3 * 4 * 7 + 1)  # of 7x7 weights the rows below the pixel are left out
    block = h * (2 * h + 1) + h * (2 * 3 * h + 1) + 2 * h * (h + 1)
    output = out * (2 * h + 1) + out * (out + 1) + values * (out + 1)
    assert sum(parameter.numel() for parameter in model.parameters()) == first + 15 * block + output
