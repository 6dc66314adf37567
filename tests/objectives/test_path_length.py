"""The path length penalty against its Jacobian."""

import math

import pytest
import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.models import DCGAN, StyleGAN2
from genmodels.objectives import NonSaturating, PathLength
from genmodels.randomness import seeded

CPU = torch.device("cpu")


def model() -> StyleGAN2:
    torch.manual_seed(0)
    return StyleGAN2((2, 8, 8), 17, 64, 8, 6, 7).double().eval()


def lengths_by_jacobian(stylegan: StyleGAN2, z: Tensor) -> Tensor:
    """|J^T v| with the whole Jacobian of each image; the noise as the penalty draws it. [B]."""
    w = stylegan.styles(z).detach()
    with seeded(5, CPU):
        stylegan.synthesize(w)  # draws the noise of the layers, whose strength is nought
        v = torch.randn(len(z), 2, 8, 8, dtype=torch.float64) / math.sqrt(8 * 8)
    lengths = []
    for one, direction in zip(w, v, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda u: stylegan.synthesize(u[None])[0], one)
        pulled = torch.einsum("chwls,chw->ls", jacobian, direction)
        lengths.append(pulled.square().sum(dim=1).mean().sqrt())
    return torch.stack(lengths)


def test_lengths_are_those_of_the_jacobian() -> None:
    stylegan, penalty = model(), PathLength(weight=3.0, decay=0.25, batch_shrink=2).double()
    z = stylegan.latents(6)
    lengths = lengths_by_jacobian(stylegan, z[:3])
    penalty.mean.fill_(0.4)
    mean = 0.75 * 0.4 + 0.25 * lengths.mean()
    with seeded(5, CPU):
        value = penalty(stylegan, z, None)
    torch.testing.assert_close(value, 3 * (lengths - mean).square().mean(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(penalty.mean, mean, rtol=1e-9, atol=1e-12)
    assert not penalty.mean.requires_grad


def test_its_gradient_is_that_of_differences() -> None:
    """Second derivatives through modulation, and through the mean that has this batch in it."""
    stylegan = model()
    z, weight = stylegan.latents(4), stylegan.generator.blocks[1].layers[0].conv.weight

    def value() -> Tensor:
        penalty = PathLength(decay=0.3, batch_shrink=1).double()
        with seeded(5, CPU):
            return penalty(stylegan, z, None)

    (gradient,) = torch.autograd.grad(value(), weight)
    step = 1e-6
    for index in [(0, 0, 0, 0), (3, 2, 1, 1), (7, 5, 2, 0)]:
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[index] += sign * step
            values.append(value().item())
            with torch.no_grad():
                weight[index] -= sign * step
        assert gradient[index].item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4)


def test_it_reaches_the_mapping_network() -> None:
    stylegan = model()
    PathLength().double()(stylegan, stylegan.latents(4), None).backward()
    gradient = stylegan.generator.mapping.layers[0].weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_it_needs_styles() -> None:
    with pytest.raises(UserError, match="generator_penalty=path_length needs a generator with styles"):
        NonSaturating(generator_penalty=PathLength()).check(DCGAN((1, 8, 8), 17, width=4, num_scales=1))


def test_its_memory_is_the_mean() -> None:
    objective = NonSaturating(generator_penalty=PathLength())
    assert set(objective.memory) == {"generator_penalty"}
    assert set(objective.memory["generator_penalty"].state_dict()) == {"mean"}
    assert NonSaturating().memory == {}
