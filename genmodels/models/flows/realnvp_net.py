"""The residual network inside RealNVP's couplings (Dinh et al. 2017, Section 4.1; official code `resnet`)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.conv import NormalizedConv2d
from genmodels.networks.layout import fast_layout


class ShiftBatchNorm2d(nn.Module):
    """Batch norm with a learned shift and no learned scale (eps 1e-4, momentum 0.1), as the official code has it.

    Deviation: the running variance averages torch's unbiased estimates, not the variances the batches were divided by.

    Shapes: [B, channels, H, W] -> the same.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.running_mean, self.running_var, None, self.bias, self.training, momentum=0.1, eps=1e-4
        )


class ResidualBlock(nn.Module):
    """x + conv(relu(BN(conv(relu(BN(x)))))), 3x3 convolutions. Shapes: [B, C, H, W] -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_in = ShiftBatchNorm2d(channels)
        self.conv_in = NormalizedConv2d(channels, channels, 3, magnitude=False, bias=False)
        self.norm_out = ShiftBatchNorm2d(channels)
        self.conv_out = NormalizedConv2d(channels, channels, 3, magnitude=True)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(F.relu(self.norm_in(x), inplace=True))
        return x + self.conv_out(F.relu(self.norm_out(h), inplace=True))


class RealNVPNet(nn.Module):
    """Residual network with skip connections to the output from every block.

    The input is batch-normalised and enters as (relu(x), relu(-x)); a checkerboard coupling appends its mask and
    doubles the normalised input, since half of it is zero.

    Args:
        mask: [1, 1, H, W], the pixels that are seen (the caller has zeroed the others), or None for channel couplings.
    Shapes: [B, in_channels, H, W] -> [B, out_channels, H, W]. Unconditional: `context` is not used.
    """

    mask: Tensor | None

    def __init__(
        self, in_channels: int, out_channels: int, width: int, num_blocks: int, mask: Tensor | None = None
    ) -> None:
        super().__init__()
        self.register_buffer("mask", mask, persistent=False)
        self.norm_in = ShiftBatchNorm2d(in_channels)
        net_channels = 2 * in_channels + (mask is not None)
        self.conv_in = NormalizedConv2d(net_channels, width, 3, magnitude=False)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(num_blocks))
        self.skips = nn.ModuleList(NormalizedConv2d(width, width, 1, magnitude=True) for _ in range(num_blocks + 1))
        self.norm_out = ShiftBatchNorm2d(width)
        self.conv_out = NormalizedConv2d(width, out_channels, 1, magnitude=True)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = self.conv_in(self._input(x))
        out = self.skips[0](h)
        for block, skip in zip(self.blocks, self.skips[1:], strict=True):
            h = block(h)
            out = out + skip(h)
        return self.conv_out(F.relu(self.norm_out(out), inplace=True))

    def _input(self, x: Tensor) -> Tensor:
        h = self.norm_in(fast_layout(x))
        if self.mask is None:
            return F.relu(torch.cat((h, -h), dim=1), inplace=True)
        h = 2.0 * h
        mask = self.mask.expand(x.shape[0], -1, -1, -1)
        return torch.cat((F.relu(torch.cat((h, -h), dim=1), inplace=True), mask), dim=1)
