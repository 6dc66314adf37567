"""What the autoregressive flows have in common: orders that alternate, and images read as vectors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from genmodels.bijections import Bijection, Compose, Flattened, Logit


def alternating_order(features: int, layer: int) -> Tensor:
    """The natural order of the dimensions in even layers, its reverse in odd ones."""
    order = torch.arange(features)
    return order.flip(0) if layer % 2 else order


def from_data(steps: Sequence[Bijection], shape: Sequence[int], alpha: float) -> Bijection:
    """`steps`, maps of vectors, one after another; on images behind a logit, see `Logit`."""
    return Compose(steps) if len(shape) == 1 else Flattened(Compose([Logit(alpha), *steps]), shape)
