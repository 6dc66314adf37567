"""The layers of StyleGAN2, as in the official ADA code (NVlabs/stylegan2-ada-pytorch); Karras et al. 2020a, 2020b.

Weights have the learning rate equalised: they are drawn from N(0, 1) and divided by the root of their fan-in when they
are used (Karras et al. 2018, Section 4.1).
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Noise = Literal["random", "fixed"]


class EqualLinear(nn.Module):
    """W x * rate / sqrt(inputs) + b * rate.

    Args:
        bias: at the start.
        activate: a scaled leaky ReLU follows.
        rate: multiplies the learning rate: W starts as N(0, 1 / rate^2).
    Shapes: [B, inputs] -> [B, outputs].
    """

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, activate: bool = False, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.activate, self.rate = activate, rate
        self.gain = rate / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.weight * self.gain, self.bias * self.rate)
        return activated(x) if self.activate else x


class EqualConv(nn.Module):
    """A convolution of the critic and a scaled leaky ReLU; with `down` the image is filtered and halved.

    Shapes: [B, inputs, H, W] -> [B, outputs, H, W], or half the sides.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, down: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = 1 / math.sqrt(inputs * kernel**2)
        self.padding, self.down = kernel // 2, down

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.gain
        if self.down:
            around = self.padding + 1
            return activated(F.conv2d(filtered(x, around, around), weight, self.bias, stride=2))
        return activated(F.conv2d(x, weight, self.bias, padding=self.padding))


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by a style, its output channels back to variance 1 (Section 2.2).

        s = A(w),   y_o = sum_i s_i W_oi * x_i / sqrt(sum_{i,k} (s_i W_oik)^2 + 1e-8)

    What the paper does to the weights is done here to what goes in and out, which is the same. With `up` the kernel
    meets an image with noughts between its pixels, and what comes is filtered.

    Args:
        num_styles: length of w.
        demodulate: divide by the root; without it the learning rate is equalised.
    Shapes: x [B, inputs, H, W], w [B, num_styles] -> [B, outputs, H, W], or twice the sides.
    """

    def __init__(
        self, inputs: int, outputs: int, num_styles: int, kernel: int = 3, up: bool = False, demodulate: bool = True
    ) -> None:
        super().__init__()
        self.affine = EqualLinear(num_styles, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.demodulate, self.padding, self.up = demodulate, kernel // 2, up
        self.gain = 1.0 if demodulate else 1 / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w) * self.gain
        x = x * (styles * 4 if self.up else styles)[:, :, None, None]  # a quarter of the pixels that are filtered
        if self.up:
            x = filtered(F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2), 1, 1)
        else:
            x = F.conv2d(x, self.weight, padding=self.padding)
        if not self.demodulate:
            return x
        variances = styles.square() @ self.weight.square().sum(dim=(2, 3)).T
        return x * (variances + 1e-8).rsqrt()[:, :, None, None]


class StyledLayer(nn.Module):
    """A modulated convolution, noise of one channel, a bias and a scaled leaky ReLU.

    Shapes: x [B, inputs, H, W], w [B, num_styles] -> [B, outputs, side, side].
    """

    fixed: Tensor

    def __init__(self, inputs: int, outputs: int, num_styles: int, side: int, up: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, num_styles, up=up)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("fixed", torch.randn(side, side))

    def forward(self, x: Tensor, w: Tensor, noise: Noise) -> Tensor:
        x = self.conv(x, w)
        drawn = self.fixed if noise == "fixed" else torch.randn_like(x[:, :1])
        return activated(x + drawn * self.strength + self.bias[:, None, None])


class ToPixels(nn.Module):
    """Features to colours, a modulated 1x1 convolution. Shapes: as of `ModulatedConv`."""

    def __init__(self, inputs: int, channels: int, num_styles: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, channels, num_styles, kernel=1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return self.conv(x, w) + self.bias[:, None, None]


def filtered(x: Tensor, before: int, after: int) -> Tensor:
    """Noughts around the image, then the low-pass filter [1, 3, 3, 1] / 8 in both directions: no aliases.

    Shapes: [B, C, H, W] -> [B, C, H + before + after - 3, and W likewise].
    """
    x = F.pad(x, (before, after, before, after))
    for dim in (2, 3):  # sums of slices: a convolution of single planes takes three times as long on CPU
        size = x.shape[dim] - 3
        first, second, third, fourth = (x.narrow(dim, start, size) for start in range(4))
        x = (first + fourth) * 0.125 + (second + third) * 0.375
    return x


def doubled(x: Tensor) -> Tensor:
    """Noughts after the pixels, filtered at a gain of 4. Shapes: [B, C, H, W] -> [B, C, 2 H, 2 W]."""
    batch, channels, height, width = x.shape
    spread = x.new_zeros(batch, channels, height, 2, width, 2)
    spread[:, :, :, 0, :, 0] = x * 4
    return filtered(spread.view(batch, channels, 2 * height, 2 * width), 2, 1)


def activated(x: Tensor) -> Tensor:
    """Leaky ReLU (0.2) times the root of 2, which keeps the mean square of what is normal (nearly)."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def normalized(x: Tensor) -> Tensor:
    """x over the root of its mean square. Shapes: [B, D] -> the same."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


def with_minibatch_deviation(x: Tensor, group: int) -> Tensor:
    """One channel more: the standard deviation over a group of images, averaged over channels and pixels.

    Image n is in a group with those of the same n mod (B / group); where `group` does not divide B, groups are as
    large as they can be below it (Karras et al. 2018, Section 3). Shapes: [B, C, H, W] -> [B, C + 1, H, W].
    """
    batch, _, height, width = x.shape
    size = max(d for d in range(1, min(group, batch) + 1) if batch % d == 0)
    groups = x.view(size, -1, *x.shape[1:])
    deviations = (groups.var(dim=0, correction=0) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return torch.cat((x, deviations.repeat(size)[:, None, None, None].expand(-1, -1, height, width)), dim=1)
