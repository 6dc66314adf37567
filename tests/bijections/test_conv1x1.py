"""The inverse matrix that a 1x1 convolution keeps."""

import pytest
import torch

from genmodels.bijections import InvertibleConv1x1


@pytest.mark.parametrize("lu", [True, False])
def test_the_kept_inverse_does_not_outlive_a_fused_optimiser_step(lu: bool) -> None:
    """A fused step changes the weight in place without raising its version."""
    torch.manual_seed(0)
    conv = InvertibleConv1x1(4, lu=lu)
    optimizer = torch.optim.Adam(conv.parameters(), lr=0.1, fused=True)
    x = torch.randn(2, 4, 3, 3)
    for _ in range(2):
        conv.train()
        conv(x)[0].square().sum().backward()
        optimizer.step()
        conv.eval()
        with torch.no_grad():
            torch.testing.assert_close(conv.inverse(conv(x)[0])[0], x, atol=1e-4, rtol=1e-4)
