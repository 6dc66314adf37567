"""What happens to a batch of images between the data set and the model, on whole uint8 tensors."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Augmentation:
    """Integer images in, integer images out; all randomness comes from the generator that is passed.

    Args:
        flip: mirror each image left to right with probability 1/2.
        shift: largest shift as a fraction of the side, in both directions (0: none); see `shifted`.
        divisor: values are floor-divided by this; 8 turns 256 levels into 32 (Glow's 5-bit images).
        grey_levels: if set, pixel v becomes 1 with probability v / (grey_levels - 1), afresh on every call.
    """

    flip: bool = False
    shift: float = 0.0
    divisor: int = 1
    grey_levels: int | None = None

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """x [B, C, H, W] uint8 -> the same shape and type (vectors pass through when nothing is switched on)."""
        if self.flip:
            x = flipped(x, generator)
        if self.shift:
            x = shifted(x, self.shift, generator)
        if self.divisor > 1:
            x = torch.div(x, self.divisor, rounding_mode="floor")
        if self.grey_levels is not None:
            x = binarized(x, self.grey_levels, generator)
        return x


def flipped(x: Tensor, generator: Generator) -> Tensor:
    """Mirror half of the images, chosen at random, left to right."""
    chosen = torch.rand(len(x), generator=generator, device=x.device) < 0.5
    rows = chosen.nonzero()[:, 0]
    return x.index_copy(0, rows, x.index_select(0, rows).flip(-1))


def shifted(x: Tensor, fraction: float, generator: Generator) -> Tensor:
    """Move each image by whole pixels; what comes into view repeats the edge.

    The shifts are uniform on [-fraction, fraction] times the side, rounded. Glow's code asks the same of Keras's
    ImageDataGenerator (fill_mode "nearest"), which moves by fractions of a pixel and interpolates; that invents pixel
    values which no image has and smooths what the model is to learn, so whole pixels are used here.
    """
    batch, channels, height, width = x.shape
    rows = _moved(batch, height, fraction, generator, x.device)
    columns = _moved(batch, width, fraction, generator, x.device)
    index = (rows[:, :, None] * width + columns[:, None, :]).view(batch, 1, -1)
    return x.flatten(2).gather(2, index.expand(-1, channels, -1)).view_as(x)


def _moved(batch: int, side: int, fraction: float, generator: Generator, device: torch.device) -> Tensor:
    """For each image the source positions along one side, [batch, side]."""
    uniform = torch.rand(batch, 1, generator=generator, device=device)
    steps = ((2 * uniform - 1) * fraction * side).round().long()
    return (torch.arange(side, device=device) - steps).clamp(0, side - 1)


def binarized(x: Tensor, grey_levels: int, generator: Generator) -> Tensor:
    """Bernoulli samples with the grey values as probabilities (Salakhutdinov and Murray 2008), uint8 of 0 and 1."""
    noise = torch.rand(x.shape, generator=generator, device=x.device)
    return (noise * (grey_levels - 1) < x).to(torch.uint8)
