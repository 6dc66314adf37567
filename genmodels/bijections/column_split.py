"""Flow++'s split of an image into even and odd columns."""

import torch
from torch import Tensor

from genmodels.bijections.on_part import OnPart
from genmodels.networks.layout import fast_layout


class ColumnSplit(OnPart):
    """A bijection that sees the even columns as its first half of channels and the odd columns as its second.

    What Flow++'s official code calls `CheckerboardSplit`; it is none, but couplings of the two halves are then
    convolutions over half-wide images without masks. What comes out has the shape that went in.

    Shapes: x, z [B, C, H, W] with even W; `inner` sees [B, 2C, H, W/2].
    """

    def part(self, x: Tensor) -> Tensor:
        return fast_layout(split_columns(x))

    def put_back(self, part: Tensor, x: Tensor) -> Tensor:
        return merge_columns(part)


def split_columns(x: Tensor) -> Tensor:
    """Even columns, then odd columns, as channels: [B, C, H, W] -> [B, 2C, H, W/2]."""
    return torch.cat((x[..., ::2], x[..., 1::2]), dim=1)


def merge_columns(x: Tensor) -> Tensor:
    """The inverse of `split_columns`: [B, 2C, H, W/2] -> [B, C, H, W]."""
    return torch.stack(x.chunk(2, dim=1), dim=-1).flatten(-2)
