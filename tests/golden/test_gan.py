"""The perceptrons of GAN by their formulas, labels as one-hot numbers behind the input."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.models import GAN
from golden.fixed import filled

Y = torch.tensor([2, 0, 1])


def _layers(net: torch.nn.Module) -> list[tuple[Tensor, Tensor]]:
    values = list(net.parameters())
    return list(zip(values[::2], values[1::2], strict=True))


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(("shape", "levels"), [((2, 3, 3), 17), ((4,), None)], ids=["images", "vectors"])
def test_both_networks(shape: tuple[int, ...], levels: int | None, conditional: bool) -> None:
    options = {"num_latents": 5, "width": 6, "num_hidden": 2, "conditional": conditional, "num_classes": 3}
    model = filled(GAN(shape, levels, **options))
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(3, 5, dtype=torch.double, generator=generator)
    x = torch.randn(3, *shape, dtype=torch.double, generator=generator)
    label = torch.eye(3, dtype=torch.double)[Y] if conditional else torch.zeros(3, 0, dtype=torch.double)
    y = Y if conditional else None

    (first, second, last) = _layers(model.generator)
    h = torch.cat((z, label), dim=1)
    for weight, bias in (first, second):
        h = F.relu(h @ weight.T + bias)
    expected = (h @ last[0].T + last[1]).view(3, *shape)
    expected = torch.tanh(expected) if levels else expected
    torch.testing.assert_close(model.generate(z, y), expected, rtol=1e-10, atol=1e-10)

    (first, second, last) = _layers(model.discriminator)
    h = torch.cat((x.flatten(1), label), dim=1)
    for weight, bias in (first, second):
        h = F.leaky_relu(h @ weight.T + bias, 0.2)
    expected = (h @ last[0].T + last[1])[:, 0]
    torch.testing.assert_close(model.discriminator(x, y), expected, rtol=1e-10, atol=1e-10)
