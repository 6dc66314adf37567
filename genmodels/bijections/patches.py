"""Images as sequences of patches."""

import torch.nn.functional as F
from torch import Tensor

from genmodels.bijections.base import Bijection


class Patched(Bijection):
    """A bijection of sequences, applied to the patches of an image, row by row; what comes out is an image again.

    A token holds its patch channel by channel and in a channel row by row, as `F.unfold` does. The latent keeps the
    image's shape.

    Args:
        inner: sees [B, T, F], T patches of F = patch^2 C numbers.
        patch: side of a patch; divides the image's sides.
    Shapes: x, z [B, C, H, W].
    """

    def __init__(self, inner: Bijection, patch: int) -> None:
        super().__init__()
        self.inner = inner
        self.patch = patch

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        tokens, log_det = self.inner(self._tokens(x), context)
        return self._image(tokens, x), log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        tokens, log_det = self.inner.inverse(self._tokens(z), context)
        return self._image(tokens, z), log_det

    def _tokens(self, image: Tensor) -> Tensor:
        return F.pixel_unshuffle(image, self.patch).flatten(2).transpose(1, 2)

    def _image(self, tokens: Tensor, like: Tensor) -> Tensor:
        rows_and_columns = (like.shape[2] // self.patch, like.shape[3] // self.patch)
        return F.pixel_shuffle(tokens.transpose(1, 2).unflatten(2, rows_and_columns), self.patch)
