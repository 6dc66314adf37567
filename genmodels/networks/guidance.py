"""Guidance without a classifier, for a network that gives the parameters of tokens."""

from collections.abc import Callable

import torch
from torch import Tensor

from genmodels.networks.autoregressive_net import AutoregressiveNet


class Guided(AutoregressiveNet):
    """h + w_t (h - h_free) with w_t = w t / (T - 1) at token t = 0 .. T - 1, h_free given no class at all.

    Zhai et al. 2024, Section 2.6: the parameters of the affine maps, mean and log-scale alike, move away from those of
    the unconditional model, more so from token to token. Official code, `reverse` with `annealed_guidance`.

    Args:
        net: h, whose context is classes, one-hot; no class is the mean of all.
        guidance: w; 0 gives h itself.
    Shapes: as of `net`, x [B, T, F]; it is run on 2 B rows.
    """

    def __init__(self, net: AutoregressiveNet, guidance: float) -> None:
        super().__init__()
        self.net = net
        self.guidance = guidance
        self.num_steps = net.num_steps

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        given, free = self.net(torch.cat((x, x)), _with_and_without(context)).unflatten(1, (-1, x.shape[1])).chunk(2)
        weight = self.guidance * torch.linspace(0, 1, self.num_steps, dtype=given.dtype, device=given.device)
        return (given + weight[:, None] * (given - free)).flatten(1, 2)

    def unroll(self, like: Tensor, choose: Callable[[int, Tensor], Tensor], context: Tensor | None = None) -> Tensor:
        def choose_for_both(i: int, h: Tensor) -> Tensor:
            given, free = h.chunk(2)
            x = choose(i, given + self.guidance * i / (self.num_steps - 1) * (given - free))
            return torch.cat((x, x))

        return self.net.unroll(torch.cat((like, like)), choose_for_both, _with_and_without(context)).chunk(2)[0]


def _with_and_without(context: Tensor | None) -> Tensor:
    """Classes, then as often none. Shapes: [B, E] -> [2 B, E]."""
    assert context is not None
    return torch.cat((context, torch.full_like(context, 1 / context.shape[1])))
