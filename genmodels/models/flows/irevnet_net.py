"""The bottleneck network inside i-RevNet's blocks (Jacobsen et al. 2018, Figure 1; official code `irevnet_block`)."""

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.layout import fast_layout


class IRevNetNet(nn.Module):
    """BN -> ReLU -> 1x1 -> BN -> ReLU -> 3x3 -> dropout -> BN -> ReLU -> 1x1, convolutions without bias.

    Args:
        in_channels: of the half that is seen, before it is squeezed.
        width: channels inside.
        out_channels: of the half that is changed.
        kernel_sizes: of the three convolutions, odd.
        squeezed: the half comes squeezed (4 in_channels); the network sees it as it was before, and its first
            convolution strides over it.
        first: the data itself comes in: no BN and ReLU in front.
    Shapes: [B, in_channels, H, W], or [B, 4 in_channels, H, W] if squeezed, -> [B, out_channels, H, W].
        Unconditional: `context` is not used.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        out_channels: int,
        kernel_sizes: Sequence[int],
        *,
        squeezed: bool,
        first: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.squeezed = squeezed
        first_size, middle_size, last_size = kernel_sizes
        stride = 2 if squeezed else 1
        front = [] if first else [nn.BatchNorm2d(in_channels), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(
            *front,
            nn.Conv2d(in_channels, width, first_size, stride, first_size // 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, middle_size, 1, middle_size // 2, bias=False),
            nn.Dropout(dropout),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, out_channels, last_size, 1, last_size // 2, bias=False),
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        seen = F.pixel_shuffle(x, 2) if self.squeezed else x
        return cast(Tensor, self.layers(fast_layout(seen)))
