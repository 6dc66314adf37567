"""Attention between the pixels of an image."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention2d(nn.Module):
    """x + gamma * o(v(x) averaged by softmax of q(x) k(x)), keys and values at half the resolution.

    Zhang et al. 2019 (SAGAN), with the maximum over squares of two by two in front of keys and values as in BigGAN's
    official code. gamma starts at 0: at first nothing is added.

    Args:
        channels: of x, 8 or more; queries and keys have an eighth of them, values a half.
    Shapes: [B, channels, H, W] -> the same; H and W 2 or more.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.key = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.value = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.out = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query = self.query(x).flatten(2).transpose(1, 2)
        key, value = (F.max_pool2d(net(x), 2).flatten(2).transpose(1, 2) for net in (self.key, self.value))
        seen = (query @ key.transpose(1, 2)).softmax(dim=2) @ value
        return x + self.gamma * self.out(seen.transpose(1, 2).unflatten(2, x.shape[2:]))
