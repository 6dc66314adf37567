"""The network inside Glow's couplings."""

import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.conv import ActNormConv2d, ZeroConv2d


class GlowNet(nn.Module):
    """3x3 -> ReLU -> 1x1 -> ReLU -> 3x3 started at zero, actnorm after the first two.

    Kingma & Dhariwal 2018, Section 3.3 and official code (`model.f`).

    Args:
        width: channels of both hidden layers (512 in the paper).
        edge: the official code's edge-indicator channel, see `EdgeAwareConv2d`.
    Shapes: [B, in_channels, H, W] -> [B, out_channels, H, W]. Unconditional: `context` is not used.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int, edge: bool = False) -> None:
        super().__init__()
        self.first = ActNormConv2d(in_channels, width, kernel_size=3, edge=edge)
        self.second = ActNormConv2d(width, width, kernel_size=1)
        self.last = ZeroConv2d(width, out_channels, edge=edge)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = F.relu(self.first(x), inplace=True)
        h = F.relu(self.second(h), inplace=True)
        return self.last(h)
