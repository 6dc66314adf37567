"""Attention to earlier pixels equals the sum that defines it, all at once and pixel by pixel."""

import pytest
import torch
from torch import Tensor

from genmodels.models.autoregressive.pixelsnail_attention import Memory, attend_to_earlier

SIZES = [(16, 128, 3, 4), (4, 2, 5, 3), (3, 3, 1, 6), (2, 5, 1, 1)]  # key and value channels, height, width


def _drawn(k: int, v: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    return tuple(3 * torch.randn(2, c, height, width, dtype=torch.float64, requires_grad=True) for c in (k, k, v))


def _by_definition(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    q, k, v = (t.flatten(2) for t in (query, key, value))
    means = [0 * v[:, :, 0]]
    for i in range(1, q.shape[2]):
        weights = [((q[:, :, i] * k[:, :, j]).sum(1, keepdim=True) / k.shape[1] ** 0.5).exp() for j in range(i)]
        means.append(sum(w * v[:, :, j] for j, w in enumerate(weights)) / sum(weights))
    return torch.stack(means, dim=2).view_as(value)


@pytest.mark.parametrize("size", SIZES)
def test_equals_its_definition_and_the_gradients_of_it(size: tuple[int, int, int, int]) -> None:
    inputs = _drawn(*size)
    ours, plain = attend_to_earlier(*inputs), _by_definition(*inputs)
    torch.testing.assert_close(ours, plain)
    assert not ours[:, :, 0, 0].any()
    weights = torch.randn_like(ours)
    gradients = [torch.autograd.grad((y * weights).sum(), inputs, materialize_grads=True) for y in (ours, plain)]
    for left, right in zip(*gradients, strict=True):
        torch.testing.assert_close(left, right)


def test_stays_finite_where_products_are_huge() -> None:
    query, key, value = (t.float() for t in _drawn(4, 8, 3, 3))
    mean = attend_to_earlier(1e4 * query, 1e4 * key, value)
    assert mean.isfinite().all()
    assert mean.abs().max() <= value.abs().max() + 1e-5


@pytest.mark.parametrize("size", SIZES)
def test_pixel_by_pixel_equals_all_at_once(size: tuple[int, int, int, int]) -> None:
    query, key, value = (t.detach() for t in _drawn(*size))
    means = attend_to_earlier(query, key, value)
    memory = Memory(2, means[0, 0].numel(), size[0], size[1], like=query)
    for row, column in torch.cartesian_prod(*(torch.arange(n) for n in size[2:])).tolist():
        here = (..., slice(row, row + 1), slice(column, column + 1))
        torch.testing.assert_close(memory.attend(query[here]), means[here])
        memory.append(torch.cat((key[here], value[here]), dim=1))
