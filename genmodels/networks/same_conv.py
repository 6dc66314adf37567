"""Weight-normalised layers that see all around: convolutions that keep, halve or double an image, matrix products."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.weight_norm import WeightNormalized

Size = tuple[int, int]


class SameConv2d(WeightNormalized):
    """A convolution with zeros around the image, at every pixel or, with stride 2, at every second row and column.

    With stride 2 they are padded as by TensorFlow's "SAME": where an odd number of rows is missing, the last is below.

    Args:
        kernel_size: odd.
        init_scale: deviation of the output on the first batch.
    Shapes: [B, in_channels, H, W] -> [B, out_channels, ceil(H / stride), ceil(W / stride)].
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1, init_scale: float = 1.0
    ) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self._start(init_scale)

    def forward(self, x: Tensor) -> Tensor:
        if self.is_pending:
            self._initialize_from(lambda: self._convolved(x))
        return self._convolved(x)

    def _convolved(self, x: Tensor) -> Tensor:
        size = self.weight.shape[2]
        if self.stride == 1:
            return F.conv2d(x, self.kernel(), self.bias, padding=size // 2)
        (above, below), (left, right) = (zeros_around(n, size, self.stride) for n in x.shape[2:])
        return F.conv2d(F.pad(x, (left, right, above, below)), self.kernel(), self.bias, self.stride)


class DoublingConv2d(WeightNormalized):
    """The transposed convolution, which undoes the size of a `SameConv2d` of stride 2.

    Args:
        kernel_size: odd.
        init_scale: deviation of the output on the first batch.
    Shapes: [B, in_channels, ceil(H / 2), ceil(W / 2)] and (H, W) -> [B, out_channels, H, W].
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3, init_scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self._start(init_scale)

    def forward(self, x: Tensor, size: Size) -> Tensor:
        if self.is_pending:
            self._initialize_from(lambda: self._spread(x, size))
        return self._spread(x, size)

    def _spread(self, x: Tensor, size: Size) -> Tensor:
        height, width = size
        above, left = (zeros_around(n, self.weight.shape[2], 2)[0] for n in size)
        kernel = self.kernel().transpose(0, 1)
        out = F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=(above, left))
        return out[:, :, :height, :width]


class WeightNormLinear(WeightNormalized):
    """A matrix product. Shapes: [B, in_features] -> [B, out_features].

    Args:
        init_scale: deviation of the output on the first batch.
    """

    def __init__(self, in_features: int, out_features: int, init_scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features))
        self._start(init_scale)

    def forward(self, x: Tensor) -> Tensor:
        if self.is_pending:
            self._initialize_from(lambda: F.linear(x, self.kernel(), self.bias))
        return F.linear(x, self.kernel(), self.bias)


def halved(size: Size) -> Size:
    """What a layer of stride 2 makes of an image's height and width."""
    height, width = size
    return (height + 1) // 2, (width + 1) // 2


def zeros_around(length: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, for ceil(length / stride) windows, as TensorFlow's "SAME" has them."""
    missing = max(0, (-(-length // stride) - 1) * stride + kernel_size - length)
    return missing // 2, missing - missing // 2
