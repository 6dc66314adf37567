"""Squeezing: 2 x 2 pixels into 4 channels, in each order that the papers use."""

import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.bijections.base import Bijection
from genmodels.bijections.on_part import OnPart
from genmodels.networks.layout import fast_layout

# The offsets (row, column) inside each 2 x 2 block, in the order in which they become blocks of channels.
OFFSET_ORDERS = {
    "space_to_depth": ((0, 0), (0, 1), (1, 0), (1, 1)),
    "diagonal": ((0, 0), (1, 1), (0, 1), (1, 0)),
}


def squeeze(x: Tensor, order: str = "channel_major") -> Tensor:
    """[B, C, H, W] -> [B, 4C, H/2, W/2].

    Args:
        order: what channel i of the result is.
            "channel_major": i = 4 c + 2 row + column; Glow, RealNVP's channel couplings, `F.pixel_unshuffle`.
            "space_to_depth": i = C (2 row + column) + c; TensorFlow's order: Flow++, i-ResNet.
            "diagonal": like the former with the offsets in the order (0,0), (1,1), (0,1), (1,0); RealNVP's
                factoring-out, whose first half is then one colour of a checkerboard (`squeeze_2x2_ordered`).
    """
    if order == "channel_major":
        return F.pixel_unshuffle(x, 2)
    return torch.cat([x[:, :, row::2, column::2] for row, column in OFFSET_ORDERS[order]], dim=1)


def unsqueeze(z: Tensor, order: str = "channel_major") -> Tensor:
    """The inverse of `squeeze`: [B, 4C, H, W] -> [B, C, 2H, 2W]."""
    if order == "channel_major":
        return F.pixel_shuffle(z, 2)
    batch, channels, height, width = z.shape
    x = z.new_empty(batch, channels // 4, 2 * height, 2 * width)
    for block, (row, column) in zip(z.chunk(4, dim=1), OFFSET_ORDERS[order], strict=True):
        x[:, :, row::2, column::2] = block
    return x


class Squeezed(OnPart):
    """A bijection that works on the squeezed image; what comes out has the shape that went in.

    Undoing the squeeze keeps the latent of a multi-scale flow one tensor of the image's shape.

    Shapes: x, z [B, C, H, W] with even H and W; `inner` sees [B, 4C, H/2, W/2].
    """

    def __init__(self, inner: Bijection, order: str = "channel_major") -> None:
        super().__init__(inner)
        self.order = order

    def part(self, x: Tensor) -> Tensor:
        return fast_layout(squeeze(x, self.order))

    def put_back(self, part: Tensor, x: Tensor) -> Tensor:
        return unsqueeze(part, self.order)
