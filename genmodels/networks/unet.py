"""A small U-Net that sees the time (Ronneberger et al. 2015; with the blocks of Ho et al. 2020, less attention)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.layout import fast_layout


class UNet(nn.Module):
    """Residual blocks at halved and halved sizes, then back, each size meeting what it was on the way down.

    Args:
        channels: of the image.
        width: channels of the blocks at full size, doubled with every halving.
        num_halvings: sides must be divisible by 2 so often.
    Shapes: t [] or [B], z [B, channels, H, W] -> [B, channels, H, W].
    """

    def __init__(self, channels: int, width: int, num_halvings: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(num_halvings + 1)]
        features = 4 * width
        self.time = TimeEmbedding(features)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList(ResBlock(a, b, features) for a, b in zip([width, *widths], widths, strict=False))
        self.middle = ResBlock(widths[-1], widths[-1], features)
        self.up = nn.ModuleList(
            ResBlock(above + own, own, features)
            for own, above in zip(reversed(widths), [widths[-1], *reversed(widths)], strict=False)
        )
        self.norm = _norm(width)
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        time = self.time(t.view(-1))
        h = self.first(fast_layout(z))
        kept: list[Tensor] = []
        for level, block in enumerate(self.down):
            h = block(h if level == 0 else F.avg_pool2d(h, 2), time)
            kept.append(h)
        h = self.middle(h, time)
        for level, block in enumerate(self.up):
            h = block(torch.cat((h if level == 0 else F.interpolate(h, scale_factor=2.0), kept.pop()), dim=1), time)
        return self.last(F.silu(self.norm(h)))


class TimeEmbedding(nn.Module):
    """Sines and cosines of t in [0, 1], then a perceptron. Shapes: [B] or [1] -> [B or 1, features].

    Their periods go from 2 pi down to 2 pi / 100: smooth enough for a solver, fine enough to tell the ends apart.
    """

    frequencies: Tensor

    def __init__(self, features: int, num_frequencies: int = 8) -> None:
        super().__init__()
        self.register_buffer("frequencies", 100.0 ** torch.linspace(0, 1, num_frequencies), persistent=False)
        self.net = nn.Sequential(nn.Linear(2 * num_frequencies, features), nn.SiLU(), nn.Linear(features, features))

    def forward(self, t: Tensor) -> Tensor:
        angles = t[:, None] * self.frequencies
        return self.net(torch.cat((angles.sin(), angles.cos()), dim=1))


class ResBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x))) + time))), the second convolution nought at first.

    Shapes: x [B, in_channels, H, W], time [B or 1, features] -> [B, out_channels, H, W].
    """

    def __init__(self, in_channels: int, out_channels: int, features: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(in_channels), _norm(out_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.time = nn.Linear(features, out_channels)
        same = in_channels == out_channels
        self.skip = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x))) + self.time(F.silu(time))[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(channels, 8), channels)
