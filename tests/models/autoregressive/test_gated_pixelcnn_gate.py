"""The gate against its definition, gradients too."""

import pytest
import torch

from genmodels.models.autoregressive.gated_pixelcnn_gate import gate


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_is_tanh_times_sigmoid(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    expected = torch.tanh(x[:, :3]) * torch.sigmoid(x[:, 3:])
    torch.testing.assert_close(gate(x), expected)
    with torch.no_grad():
        torch.testing.assert_close(gate(x), expected)
    weights = torch.randn_like(expected)
    (got,) = torch.autograd.grad((gate(x) * weights).sum(), x)
    torch.testing.assert_close((got,), torch.autograd.grad((expected * weights).sum(), x))
    assert gate(x).is_contiguous(memory_format=layout)
    assert got.is_contiguous(memory_format=layout)
