"""Convolutions whose outputs are gated."""

import math

import torch.nn.functional as F
from torch import Tensor, nn


class GatedConv2d(nn.Module):
    """(W * x + b) sigmoid(V * x + c), both convolutions in one.

    Args:
        stride, padding: of the convolution.
        kernel_size: (rows, columns), or one number for both.
    Shapes: [B, in_channels, H, W] -> [B, out_channels, ...].
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int | tuple[int, int], stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__()
        self.both = nn.Conv2d(in_channels, 2 * out_channels, kernel_size, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        return F.glu(self.both(x), dim=1)


class GatedConvTranspose2d(nn.Module):
    """The same by a transposed convolution.

    Args:
        stride, padding, output_padding: of the convolution.
        kernel_size, output_padding: (rows, columns), or one number for both.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int = 1,
        padding: int = 0,
        output_padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.both = nn.ConvTranspose2d(in_channels, 2 * out_channels, kernel_size, stride, padding, output_padding)
        # torch counts a transposed convolution's outputs as its fan-in, which are two here.
        bound = 1 / math.sqrt(out_channels * math.prod(self.both.kernel_size))
        for parameter in self.both.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return F.glu(self.both(x), dim=1)
