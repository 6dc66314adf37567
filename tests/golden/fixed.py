"""Weights and images that are the same in every run, and far from numbers at which a constant would not matter."""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


def filled(model: Model, seed: int = 0) -> Model:
    """`model` in float64 and `eval()`, none of its parameters near nought.

    Matrices and kernels keep about the size of what goes through them; all else is between 0.2 and 0.8 in size.
    """
    generator = torch.Generator().manual_seed(seed)
    model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            size = 0.2 + 0.6 * torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
            sign = 1 - 2 * torch.randint(2, parameter.shape, generator=generator)
            fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
            parameter.copy_(sign * size * (2.0 if fan_in > 1 else 1.0) / fan_in**0.5)
    return model


def images(shape: Sequence[int], levels: int, count: int = 2) -> Tensor:
    """`count` images, [count, C, H, W] of integers, which hold every value where they are large enough."""
    generator = torch.Generator().manual_seed(levels)
    return torch.randint(levels, (count, *shape), generator=generator)
