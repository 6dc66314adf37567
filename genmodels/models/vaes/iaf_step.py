"""A step of inverse autoregressive flow on maps of latents (Kingma et al. 2016, Section 4)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.weight_norm import WeightNormalized

_DAMPING = 0.1  # official code: the step starts near the identity


class IAFStep(nn.Module):
    """z' = (z - m) / exp(s), (m, s) = 0.1 net(z, context), where number i of m and s depends on numbers before i alone.

    Before a number of z come all pixels below it and, in its row, to the right of it, and of its own pixel the earlier
    channels: the triangular Jacobian has log|det| = -sum s. As in the official code the images run from their end.

    Args:
        num_latents: channels of z.
        width: of the context and of the hidden layers; a multiple of `num_latents`.
        num_hidden: hidden layers; the context is added to the first.
    Shapes: z [B, num_latents, H, W], context [B, width, H, W] -> z' and s, both as z.
    """

    def __init__(self, num_latents: int, width: int, num_hidden: int) -> None:
        super().__init__()
        self.first = AutoregressiveConv2d(num_latents, width)
        self.hidden = nn.ModuleList(AutoregressiveConv2d(width, width) for _ in range(num_hidden - 1))
        self.last = AutoregressiveConv2d(width, num_latents, outputs=2)

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        h = F.elu(self.first(z) + context)
        for layer in self.hidden:
            h = F.elu(layer(h))
        mean, log_scale = (_DAMPING * self.last(h)).chunk(2, dim=1)
        return (z - mean) * (-log_scale).exp(), log_scale


class AutoregressiveConv2d(WeightNormalized):
    """A 3x3 convolution that looks at pixels below, right of and, in the channels, before the current one.

    The channels of all layers run along the channels of z in equal groups. A hidden layer sees its own channel's group,
    the output layer only those before it. Weights of what is not seen exist, without effect, as in the official code.

    Args:
        in_channels, out_channels: one a multiple of the other.
        outputs: 0 for a hidden layer, else how many maps of `out_channels` it gives.
    Shapes: [B, in_channels, H, W] -> [B, out_channels * max(1, outputs), H, W].
    """

    seen: Tensor

    def __init__(self, in_channels: int, out_channels: int, outputs: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels * max(1, outputs), in_channels, 3, 3))
        self.bias = nn.Parameter(torch.empty(len(self.weight)))
        self.register_buffer("seen", _seen(in_channels, out_channels, outputs), persistent=False)
        self._start(init_scale=1.0)

    def forward(self, z: Tensor) -> Tensor:
        if self.is_pending:
            self._initialize_from(lambda: self._convolved(z))
        return self._convolved(z)

    def _convolved(self, z: Tensor) -> Tensor:
        # A row of zeros above, whose outputs are cut off, costs less than a copy of z with one below.
        return F.conv2d(z, self.kernel(), self.bias, padding=1)[:, :, 1:]

    def _normalized(self) -> Tensor:
        """Of the rows that are seen, the current one and the one below: [out_channels, in_channels, 2, 3]."""
        return torch._weight_norm(self.weight[:, :, 1:] * self.seen, self.scale.view(-1, 1, 1, 1))


def _seen(in_channels: int, out_channels: int, outputs: int) -> Tensor:
    inputs = torch.arange(in_channels) // max(1, in_channels // out_channels)
    channels = torch.arange(out_channels) // max(1, out_channels // in_channels)
    here = channels[:, None] > inputs if outputs else channels[:, None] >= inputs
    seen = torch.ones(out_channels, in_channels, 2, 3)
    seen[:, :, 0, 0] = 0.0
    seen[:, :, 0, 1] = here.float()
    return seen.repeat(max(1, outputs), 1, 1, 1)
