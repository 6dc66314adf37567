"""Layers of a vector field f(t, z) that see the time, as the official FFJORD code has them.

The time is one number for the whole batch (inside a solver) or one for each example (flow matching). It enters as a
bias, which is what an input channel of a constant amounts to, so that nothing is concatenated.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TimeLayer = Literal["concat", "concatsquash"]


class ConcatLinear(nn.Linear):
    """Linear map of (t, z): W (t, z) + b, the time in front (`ConcatLinear`).

    Shapes: t [] or [B], z [B, in_features] -> [B, out_features].
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features + 1, out_features)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:  # type: ignore[override]
        bias = self.bias + t[..., None] * self.weight[:, 0]
        return torch.addmm(bias, z, self.weight[:, 1:].T)


class ConcatConv2d(nn.Conv2d):
    """'Same' 3x3 convolution of z with a channel in front that is t everywhere (`ConcatConv2d`).

    Zeros are padded around that channel too, so its response at the border differs from that inside.

    Shapes: t [] or [B], z [B, in_channels, H, W] -> [B, out_channels, H, W].
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels + 1, out_channels, 3, padding=1)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:  # type: ignore[override]
        plane = F.conv2d(z.new_ones(1, 1, *z.shape[2:]), self.weight[:, :1], padding=1)
        return F.conv2d(z, self.weight[:, 1:], self.bias, padding=1) + t.view(-1, 1, 1, 1) * plane


class ConcatSquashLinear(nn.Module):
    """(W z + b) * sigmoid(g t + c) + h t, all but z and t learned (`ConcatSquashLinear`).

    Shapes: t [] or [B], z [B, in_features] -> [B, out_features].
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.layer = nn.Linear(in_features, out_features)
        self.gate = nn.Linear(1, out_features)
        self.shift = nn.Linear(1, out_features, bias=False)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        t = t.view(-1, 1)
        return torch.addcmul(self.shift(t), self.layer(z), torch.sigmoid(self.gate(t)))


class ConcatSquashConv2d(nn.Module):
    """`ConcatSquashLinear` with a 'same' 3x3 convolution in place of W; gate and shift are a number for each channel.

    Shapes: t [] or [B], z [B, in_channels, H, W] -> [B, out_channels, H, W].
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.gate = nn.Linear(1, out_channels)
        self.shift = nn.Linear(1, out_channels, bias=False)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        t = t.view(-1, 1)
        gate, shift = torch.sigmoid(self.gate(t)), self.shift(t)
        return torch.addcmul(shift[:, :, None, None], self.layer(z), gate[:, :, None, None])


LINEAR: dict[TimeLayer, type[nn.Module]] = {"concat": ConcatLinear, "concatsquash": ConcatSquashLinear}
CONV: dict[TimeLayer, type[nn.Module]] = {"concat": ConcatConv2d, "concatsquash": ConcatSquashConv2d}
