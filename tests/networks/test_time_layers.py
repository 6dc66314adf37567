"""Layers that see the time against what they stand for: a further input, or a gate and a shift."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.networks import ConvField, Field, MLPField, UNetField
from genmodels.networks.time_layers import ConcatConv2d, ConcatLinear, ConcatSquashConv2d, ConcatSquashLinear

TIMES = torch.tensor([0.3, -0.7])


def _with_time_in_front(t: Tensor, z: Tensor) -> Tensor:
    return torch.cat((t.view(-1, *[1] * (z.dim() - 1)).expand(2, 1, *z.shape[2:]), z), dim=1)


@pytest.mark.parametrize("t", [TIMES[0], TIMES], ids=["one time", "a time each"])
def test_concat_is_a_further_input(t: Tensor) -> None:
    torch.manual_seed(0)
    linear, conv = ConcatLinear(3, 5), ConcatConv2d(3, 5)
    z, image = torch.randn(2, 3), torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(linear(t, z), F.linear(_with_time_in_front(t, z), linear.weight, linear.bias))
    expected = F.conv2d(_with_time_in_front(t, image), conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(conv(t, image), expected)


@pytest.mark.parametrize("t", [TIMES[0], TIMES], ids=["one time", "a time each"])
def test_concatsquash_gates_and_shifts(t: Tensor) -> None:
    torch.manual_seed(0)
    cases: list[tuple[nn.Module, Tensor]] = [
        (ConcatSquashLinear(3, 5), torch.randn(2, 3)),
        (ConcatSquashConv2d(3, 5), torch.randn(2, 3, 4, 4)),
    ]
    for layer, z in cases:
        per_channel = [2, 5, *[1] * (z.dim() - 2)]
        column = t.view(-1, 1).expand(2, 1)
        gate = torch.sigmoid(column @ layer.gate.weight.T + layer.gate.bias).view(per_channel)
        shift = (column @ layer.shift.weight.T).view(per_channel)
        torch.testing.assert_close(layer(t, z), layer.layer(z) * gate + shift)


@pytest.mark.parametrize("field", [ConvField(6, 1), UNetField(8, 1), MLPField(6, 1)], ids=["conv", "unet", "mlp"])
def test_fields_of_images_take_a_time_each_and_keep_examples_apart(field: Field) -> None:
    torch.manual_seed(0)
    network = field.network([1, 4, 6]).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    z, times = torch.randn(2, 1, 4, 6, dtype=torch.float64), TIMES.double()
    together = network(times, z)
    assert together.shape == z.shape
    for index in range(2):
        torch.testing.assert_close(network(times[index], z[index, None]), together[index, None])
    assert not torch.allclose(network(times[1], z[:1]), together[:1])


def test_a_unet_halves_while_sides_are_even() -> None:
    counts = [sum(p.numel() for p in UNetField(8, 2).network([1, side, side]).parameters()) for side in (8, 6, 5)]
    assert counts[0] > counts[1] > counts[2]
    assert UNetField(8, 2).network([3, 6, 6])(TIMES, torch.randn(2, 3, 6, 6)).shape == (2, 3, 6, 6)


def test_a_field_may_start_at_nought_but_for_its_bias() -> None:
    network = MLPField(6, 1, "concat", zero_init=True).network([3])
    first, second = network(TIMES, torch.randn(2, 3))
    assert torch.equal(first, second)
    assert first.any()


@pytest.mark.parametrize("field", [ConvField(), UNetField()], ids=["conv", "unet"])
def test_convolutions_of_vectors_are_refused(field: Field) -> None:
    with pytest.raises(UserError, match=r"needs images .* choose model/field=mlp$"):
        field.network([3])
