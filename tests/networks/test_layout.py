"""The layout that convolutions keep."""

import pytest
import torch
import torch.nn.functional as F

from genmodels.networks.layout import fast_layout


@pytest.mark.parametrize("channels", [1, 3])
def test_convolutions_on_cpu_go_on_in_channels_last(channels: int) -> None:
    """Of one channel the strides alone say so: in memory both layouts are the same."""
    torch.manual_seed(0)
    x, kernel = torch.randn(2, channels, 5, 6), torch.randn(4, channels, 3, 3)
    laid_out = fast_layout(x)
    assert torch.equal(laid_out, x)
    out = F.conv2d(laid_out, kernel, padding=1)
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(out, F.conv2d(x, kernel, padding=1))


@pytest.mark.parametrize("channels", [1, 3])
def test_parts_of_images_are_laid_out_too(channels: int) -> None:
    part = torch.arange(2.0 * channels * 64).view(2, channels, 8, 8)[:, :, 1::2, ::2]
    laid_out = fast_layout(part)
    assert torch.equal(laid_out, part)
    assert laid_out.is_contiguous(memory_format=torch.channels_last)
