"""A layer of the bidirectional ResNet VAE: what it does on the way up, and on the way down (Kingma et al. 2016)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models.vaes.iaf_step import IAFStep
from genmodels.networks.full_precision import full
from genmodels.networks.same_conv import DoublingConv2d, SameConv2d, Size

_INIT_SCALE = 0.1
_RESIDUAL = 0.1


class Normal(NamedTuple):
    """N(mean, exp(log_scale)^2) of every number."""

    mean: Tensor
    log_scale: Tensor

    def at(self, noise: Tensor) -> Tensor:
        return self.mean + self.log_scale.exp() * noise

    def noise(self, z: Tensor) -> Tensor:
        """The noise for which `at` gives z."""
        return (z - self.mean) * (-self.log_scale).exp()


class BottomUp(NamedTuple):
    """What a layer makes of the image, for q(z | x): an addend to mean and log-scale, and the IAF's context."""

    q: Normal
    context: Tensor


class TopDown(NamedTuple):
    """What a layer makes of the latents above it: p(z), addends for q and its context, and the deterministic path."""

    p: Normal
    q: Normal
    context: Tensor
    features: Tensor


class Block(nn.Module):
    """One layer of latents.

        up    q, context, h' = split(conv(elu(h)));         h + 0.1 conv(elu(h'))
        down  p, q, context, features = split(conv(elu(h)));   then, given z:   h + 0.1 conv(elu(z, features))

    Args:
        width: channels of h, the context and the features.
        num_latents: channels of z.
        num_hidden: hidden layers of the IAF step; None for a diagonal posterior.
        below: height and width of the maps below, where these are twice as large as this layer's; None: the same.
    Shapes: h [B, width, H, W], z [B, num_latents, H, W].
    """

    def __init__(self, width: int, num_latents: int, num_hidden: int | None, below: Size | None = None) -> None:
        super().__init__()
        self.below = below
        self.up_sizes = [num_latents, num_latents, width, width]
        self.down_sizes = [num_latents] * 4 + [width] * 2
        self.up_first = SameConv2d(width, sum(self.up_sizes), 3, 1 if below is None else 2, _INIT_SCALE)
        self.up_second = SameConv2d(width, width, init_scale=_INIT_SCALE)
        self.down_first = SameConv2d(width, sum(self.down_sizes), init_scale=_INIT_SCALE)
        down = SameConv2d if below is None else DoublingConv2d
        self.down_second = down(num_latents + width, width, init_scale=_INIT_SCALE)
        self.step = None if num_hidden is None else IAFStep(num_latents, width, num_hidden)

    def up(self, h: Tensor) -> tuple[Tensor, BottomUp]:
        """h from below -> h for above, and what it says of z."""
        mean, log_scale, context, inner = self.up_first(F.elu(h)).split(self.up_sizes, dim=1)
        if self.below is not None:
            h = h[:, :, ::2, ::2]
        h = h.add(self.up_second(F.elu(inner)), alpha=_RESIDUAL)
        return h, BottomUp(Normal(full(mean), full(log_scale)), context)

    def down(self, h: Tensor) -> TopDown:
        """h from above -> what it says of z."""
        *normals, context, features = self.down_first(F.elu(h)).split(self.down_sizes, dim=1)
        normals = [full(part) for part in normals]
        return TopDown(Normal(*normals[:2]), Normal(*normals[2:]), context, features)

    def with_latents(self, h: Tensor, features: Tensor, z: Tensor) -> Tensor:
        """h from above and z -> h for below."""
        inner = F.elu(torch.cat((z, features), dim=1))
        if self.below is None:
            return h.add(self.down_second(inner), alpha=_RESIDUAL)
        height, width = self.below
        h = F.interpolate(h, scale_factor=2, mode="nearest")[:, :, :height, :width]
        return h.add(self.down_second(inner, self.below), alpha=_RESIDUAL)
