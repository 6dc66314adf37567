"""Samples of the past, among which a critic finds new ones (Shrivastava et al., CVPR 2017, Section 2.3)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ImageHistory(nn.Module):
    """Keeps images; once full gives, for each new one, with probability 1/2 an old one, whose place the new one takes.

    Its buffers are part of a checkpoint.

    Args:
        size: images that it keeps; 0 gives what it gets.
        shape: of an image.
    """

    images: Tensor
    count: Tensor

    def __init__(self, size: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Shapes: [B, *shape] -> the same."""
        return torch.stack([self._exchanged(image) for image in images]) if self.size else images

    def _exchanged(self, image: Tensor) -> Tensor:
        count = int(self.count)
        if count < self.size:
            self.images[count] = image
            self.count += 1
            return image
        if torch.rand(()) < 0.5:
            return image
        place = int(torch.randint(self.size, ()))
        old = self.images[place].to(image.dtype, copy=True)
        self.images[place] = image
        return old
