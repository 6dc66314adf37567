"""Permutations of channels: volume-preserving and free."""

import torch
from torch import Tensor

from genmodels.bijections.base import Bijection


class Permutation(Bijection):
    """z[:, i] = x[:, order[i]], a fixed reordering of dimension 1; log|det| = 0.

    Args:
        order: a permutation of 0 .. C-1.
    Raises:
        ValueError: `order` is not a permutation.
    Shapes: x, z [B, C, ...].
    """

    order: Tensor
    order_back: Tensor

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        if not torch.equal(order.sort().values, torch.arange(len(order))):
            raise ValueError(f"not a permutation: {order.tolist()}")
        self.register_buffer("order", order)
        self.register_buffer("order_back", order.argsort(), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x[:, self.order], x.new_zeros(x.shape[0])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z[:, self.order_back], z.new_zeros(z.shape[0])

    def _load_from_state_dict(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super()._load_from_state_dict(*args, **kwargs)
        self.order_back = self.order.argsort()


class Reverse(Permutation):
    """The last channel first (Dinh et al. 2017's alternation as one of Glow's three permutations, Figure 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__(torch.arange(channels - 1, -1, -1))


class Shuffle(Permutation):
    """A permutation drawn once, from torch's generator, and kept (Glow's 'shuffle', Figure 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__(torch.randperm(channels))


class Flip(Bijection):
    """z[:, i] = x[:, N - 1 - i], a sequence backwards; log|det| = 0. Shapes: x, z [B, N, ...]."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x.flip(1), x.new_zeros(x.shape[0])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.forward(z)
