"""The path between two latents."""

import math

import torch

from genmodels.evaluation.interpolation import slerp


def test_follows_the_great_circle() -> None:
    east, north = torch.tensor([[[2.0, 0.0]]]), torch.tensor([[[0.0, 2.0]]])
    for t in (0.0, 0.25, 0.5, 1.0):
        angle = t * math.pi / 2
        expected = 2 * torch.tensor([[[math.cos(angle), math.sin(angle)]]])
        torch.testing.assert_close(slerp(east, north, t), expected)


def test_keeps_the_length_that_a_straight_line_loses() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 50, 3, 16, 16)
    halfway = slerp(a, b, 0.5).flatten(1).norm(dim=1)
    typical = math.sqrt(3 * 16 * 16)
    torch.testing.assert_close(halfway, torch.full((50,), typical), rtol=0.1, atol=0)
    assert ((a + b) / 2).flatten(1).norm(dim=1).max() < 0.8 * typical


def test_equal_and_opposite_ends_give_no_nan() -> None:
    a = torch.randn(4, 6)
    torch.testing.assert_close(slerp(a, a, 0.3), a)
    assert slerp(a, -a, 0.3).isfinite().all()
