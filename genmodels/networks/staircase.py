"""A masked linear map that leaves out most of what the mask makes zero, with its gradients."""

import itertools
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Cut = tuple[int, int, int]  # rows from .. to, and the number of first columns that they see
_GROUPS = 4  # more save fewer multiplications than they cost in calls


def cuts_of(mask: Tensor) -> list[Cut]:
    """Groups of rows of `mask` (bool [outputs, inputs]) with the columns behind which all of a group's rows are zero.

    One group where several would save less than a tenth of the products, as when rows are not sorted.
    """
    outputs, inputs = mask.shape
    ends = [round(outputs * group / _GROUPS) for group in range(_GROUPS + 1)]
    cuts = []
    for start, stop in itertools.pairwise(ends):
        seen = mask[start:stop].any(dim=0).nonzero()
        if stop > start:
            cuts.append((start, stop, int(seen.max()) + 1 if len(seen) else 0))
    saved = outputs * inputs - sum((stop - start) * columns for start, stop, columns in cuts)
    return cuts if saved > 0.1 * outputs * inputs else [(0, outputs, inputs)]


class StaircaseLinear(torch.autograd.Function):
    """y = (mask * W) x + b; the products over each cut alone. Differentiable once.

    Shapes: x [B, inputs], W and mask [outputs, inputs], b [outputs] -> [B, outputs].
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mask: Tensor, cuts: list[Cut]) -> Tensor:
        masked = weight * mask
        ctx.save_for_backward(x, masked, mask)
        ctx.cuts = cuts
        y = x.new_empty(x.shape[0], weight.shape[0])
        for start, stop, columns in cuts:
            torch.addmm(bias[start:stop], x[:, :columns], masked[start:stop, :columns].t(), out=y[:, start:stop])
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None, None]:
        x, masked, mask = ctx.saved_tensors
        of_weight = torch.zeros_like(masked)
        of_x = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        for start, stop, columns in ctx.cuts:
            part = grad[:, start:stop]
            torch.mm(part.t(), x[:, :columns], out=of_weight[start:stop, :columns])
            if of_x is not None:
                of_x[:, :columns].addmm_(part, masked[start:stop, :columns])
        return of_x, of_weight.mul_(mask), grad.sum(dim=0), None, None
