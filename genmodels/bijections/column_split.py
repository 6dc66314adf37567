"""Flow++'s split of an image into even and odd columns."""

import torch
from torch import Tensor

from genmodels.bijections.base import Bijection
from genmodels.networks.layout import fast_layout


class ColumnSplit(Bijection):
    """A bijection that sees the even columns as its first half of channels and the odd columns as its second.

    What Flow++'s official code calls `CheckerboardSplit`; it is none, but couplings of the two halves are then
    convolutions over half-wide images without masks. What comes out has the shape that went in.

    Shapes: x, z [B, C, H, W] with even W; `inner` sees [B, 2C, H, W/2].
    """

    def __init__(self, inner: Bijection) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_det = self.inner(fast_layout(split_columns(x)), context)
        return merge_columns(z), log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, log_det = self.inner.inverse(fast_layout(split_columns(z)), context)
        return merge_columns(x), log_det


def split_columns(x: Tensor) -> Tensor:
    """Even columns, then odd columns, as channels: [B, C, H, W] -> [B, 2C, H, W/2]."""
    return torch.cat((x[..., ::2], x[..., 1::2]), dim=1)


def merge_columns(x: Tensor) -> Tensor:
    """The inverse of `split_columns`: [B, 2C, H, W/2] -> [B, C, H, W]."""
    return torch.stack(x.chunk(2, dim=1), dim=-1).flatten(-2)
