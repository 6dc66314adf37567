"""The residual networks that WGAN-GP, SN-GAN and BigGAN share: nets of one width that double and halve images."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.layout import fast_layout
from genmodels.networks.resampling_conv import DownConv2d, UpConv2d

Size = tuple[int, int]


class UpBlock(nn.Module):
    """conv(ReLU(norm(conv(up(ReLU(norm(x))))))) + conv1x1(up(x)), up repeats pixels.

    The shortcut's convolution stands before its doubling, which is the same and a quarter of the work.

    Args:
        norm: makes a batch norm of so many channels, called with x alone, or with x and the condition where there is
            one.
    Shapes: x [B, width, H, W], condition as `norm` takes it -> [B, width, 2 H, 2 W].
    """

    def __init__(self, width: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(width), norm(width)
        self.conv1 = UpConv2d(width, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, *condition: Tensor) -> Tensor:
        h = self.conv1(F.relu(self.norm1(x, *condition), inplace=True))
        h = self.conv2(F.relu(self.norm2(h, *condition), inplace=True))
        return h + F.interpolate(self.shortcut(x), scale_factor=2, mode="nearest")


class DownBlock(nn.Module):
    """down(conv(ReLU(conv(ReLU(x))))) + conv1x1(down(x)), down is the mean over squares; or neither is halved.

    Without halving the shortcut is x itself. The official codes have the shortcut's convolution before its halving but
    for the first block, which is the same.

    Args:
        channels: of x.
        width: of the output.
        halves: whether the sides are halved.
        first: x is the image, which goes into the convolution without a ReLU.
    Shapes: [B, channels, H, W] -> [B, width, H, W], or half of both sides.
    """

    def __init__(self, channels: int, width: int, halves: bool, first: bool = False) -> None:
        super().__init__()
        self.first = first
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.conv2 = DownConv2d(width, width) if halves else nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, width, 1) if halves else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(x if self.first else F.relu(x))
        h = self.conv2(F.relu(h, inplace=True))
        return h + (x if self.shortcut is None else self.shortcut(F.avg_pool2d(x, 2)))


class ResNetGenerator(nn.Module):
    """A matrix product to the smallest map, blocks that double it, batch norm, ReLU, convolution, tanh.

    Args:
        num_latents: numbers that the first layer takes.
        shape: of an image.
        width: channels of all maps.
        num_scales: blocks.
        norm: of the blocks; see `UpBlock`.
        conditional: the blocks' norms take the class.
    Shapes: z [B, num_latents], y [B] -> [B, *shape] from -1 to 1.
    """

    def __init__(
        self,
        num_latents: int,
        shape: Sequence[int],
        width: int,
        num_scales: int,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        channels, height, side = shape
        self.conditional = conditional
        self.smallest = (width, height // 2**num_scales, side // 2**num_scales)
        self.linear = nn.Linear(num_latents, math.prod(self.smallest))
        self.blocks = nn.ModuleList(UpBlock(width, norm) for _ in range(num_scales))
        self.norm = nn.BatchNorm2d(width)
        self.conv = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        first, conditions = self.inputs(z, y)
        h = fast_layout(self.linear(first).unflatten(1, self.smallest))
        for block, condition in zip(self.blocks, conditions, strict=True):
            h = block(h, *condition)
        return self.conv(F.relu(self.norm(h), inplace=True)).tanh()

    def inputs(self, z: Tensor, y: Tensor | None) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
        """What the first layer takes, and what the norms of each block take beside their maps."""
        condition = (y,) if self.conditional and y is not None else ()
        return z, [condition] * len(self.blocks)


class ResNetDiscriminator(nn.Module):
    """Blocks that halve the image, two that do not, ReLU, sum or mean over pixels, and a linear score.

    With classes the score is that of a projection, w . h + b + v_y . h (Miyato & Koyama 2018, Equation 3).

    Args:
        shape: of an image.
        width: channels of all maps.
        halvings: blocks that halve.
        pool: over the pixels of the last map.
        num_classes: 0 for none.
    Shapes: x [B, *shape], y [B] -> [B].
    """

    def __init__(
        self, shape: Sequence[int], width: int, halvings: int, pool: Literal["sum", "mean"], num_classes: int = 0
    ) -> None:
        super().__init__()
        self.pool = pool
        first = DownBlock(shape[0], width, halves=True, first=True)
        others = [DownBlock(width, width, halves) for halves in [True] * (halvings - 1) + [False, False]]
        self.blocks = nn.ModuleList([first, *others])
        self.linear = nn.Linear(width, 1)
        self.embedding = nn.Embedding(num_classes, width) if num_classes else None

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h = fast_layout(x)
        for block in self.blocks:
            h = block(h)
        h = F.relu(h, inplace=True)
        h = h.sum(dim=(2, 3)) if self.pool == "sum" else h.mean(dim=(2, 3))
        score = self.linear(h)[:, 0]
        return score if self.embedding is None else score + (self.embedding(y) * h).sum(dim=1)


def halvings_of_critic(num_scales: int) -> int:
    """One less than the generator's doublings, as the papers' 32x32 nets have it, but one at least."""
    return max(1, num_scales - 1)


def initialize_xavier(*networks: ResNetGenerator | ResNetDiscriminator) -> None:
    """Glorot & Bengio's uniform weights, sqrt(2) times as large for the 3x3 convolutions of blocks; biases 0.

    Both official codes: `he_init` of WGAN-GP's, GlorotUniform(sqrt(2)) of SN-GAN's.
    """
    for network in networks:
        inner = {conv for block in network.blocks for conv in (block.conv1, block.conv2)}
        for part in network.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(part.weight, gain=math.sqrt(2) if part in inner else 1.0)
                assert part.bias is not None
                nn.init.zeros_(part.bias)
