"""Masked products that leave out zeros equal those that do not."""

import pytest
import torch

from genmodels.networks.staircase import StaircaseLinear, cuts_of

SORTED = (torch.arange(23)[:, None] * 17 // 23 >= torch.arange(17)).bool()
MASKS = {"sorted": SORTED, "unsorted": SORTED[torch.randperm(23)], "nothing seen at first": SORTED.roll(8, 1).tril(-3)}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_equals_the_masked_product_and_its_gradients(mask: torch.Tensor) -> None:
    torch.manual_seed(0)
    x, weight, bias = (
        torch.randn(*size, dtype=torch.float64, requires_grad=True) for size in ((5, 17), (23, 17), (23,))
    )
    weights = torch.randn(5, 23, dtype=torch.float64)
    ours = StaircaseLinear.apply(x, weight, bias, mask.double(), cuts_of(mask))
    plain = torch.nn.functional.linear(x, weight * mask, bias)
    torch.testing.assert_close(ours, plain)
    gradients = [torch.autograd.grad((y * weights).sum(), (x, weight, bias)) for y in (ours, plain)]
    for left, right in zip(*gradients, strict=True):
        torch.testing.assert_close(left, right)


def test_cuts_leave_out_what_sorted_rows_do_not_see() -> None:
    cuts = cuts_of(SORTED)
    assert [start for start, _, _ in cuts][1:] == [stop for _, stop, _ in cuts][:-1]
    assert sum((stop - start) * columns for start, stop, columns in cuts) < 0.7 * SORTED.numel()
    assert not any(SORTED[start:stop, columns:].any() for start, stop, columns in cuts)
    assert cuts_of(torch.ones(4, 4, dtype=torch.bool)) == [(0, 4, 4)]
