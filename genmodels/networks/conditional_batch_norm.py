"""Batch norm whose scale and shift depend on the example's condition."""

import torch
from torch import Tensor, nn


class ConditionalBatchNorm2d(nn.Module):
    """(1 + gain(c)) * (x - mean) / deviation + bias(c), mean and deviation over the batch and its pixels.

    Dumoulin et al. 2017, as the official codes of SN-GAN (its gains start at 1 and stand alone) and BigGAN have it.

    Args:
        channels: of x.
        gain: c -> [B, channels].
        bias: c -> [B, channels].
    Shapes: x [B, channels, H, W], c whatever `gain` and `bias` take -> [B, channels, H, W].
    """

    def __init__(self, channels: int, gain: nn.Module, bias: nn.Module) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain, self.bias = gain, bias

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = 1 + self.gain(condition), self.bias(condition)
        return torch.addcmul(shift[:, :, None, None], self.norm(x), scale[:, :, None, None])
