"""Inverse matrices and masked weights that are kept between calls must follow every change of the weights."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from genmodels.bijections import ActNormConv1x1, Bijection, InvertibleConv1x1
from genmodels.bijections.linear import PLU
from genmodels.models import MAF

IMAGE, VECTOR = torch.linspace(-1, 1, 72).view(2, 4, 3, 3), torch.linspace(-1, 1, 8).view(2, 4)
KEEPING: dict[str, tuple[Callable[[], Bijection], Tensor]] = {
    "1x1 convolution, LU": (lambda: InvertibleConv1x1(4), IMAGE),
    "1x1 convolution, full": (lambda: InvertibleConv1x1(4, lu=False), IMAGE),
    "actnorm and 1x1 convolution": (lambda: ActNormConv1x1(4), IMAGE),
    "PLU": (lambda: PLU(4), VECTOR),
    "MAF": (lambda: MAF((4,), None, width=8, batch_norm=False).bijection, VECTOR),
}


@pytest.mark.parametrize("evaluate", [True, False], ids=["eval", "train"])
@pytest.mark.parametrize("name", KEEPING)
def test_nothing_outlives_a_fused_optimiser_step(name: str, evaluate: bool) -> None:
    """A fused step changes the weights in place without raising their version."""
    torch.manual_seed(0)
    constructor, x = KEEPING[name]
    bijection = constructor()
    optimizer = torch.optim.Adam(bijection.parameters(), lr=0.1, fused=True)
    for _ in range(3):
        bijection.train()
        z, log_det = bijection(x)
        (z.square().sum() - log_det.sum()).backward()
        optimizer.step()
        bijection.train(not evaluate)
        with torch.no_grad():
            torch.testing.assert_close(bijection.inverse(bijection(x)[0])[0], x, atol=1e-3, rtol=1e-3)
