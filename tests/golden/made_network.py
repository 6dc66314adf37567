"""MADE's network by the official code of MAF (gpapamak/maf, `ml/models/mades.py`), and what its tests share."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

State = dict[str, Tensor]


def made(
    w: State,
    net: str,
    x: Tensor,
    order: Sequence[int],
    activation: Callable[[Tensor], Tensor] = torch.relu,
    degrees: Sequence[Tensor] | None = None,
    context: Tensor | None = None,
) -> Tensor:
    """What the network says of every dimension, [B, numbers, D].

    The units of a layer are numbered by their degree; the official code cycles through the degrees. `order` names the
    dimension that comes first, second, ...; `degrees` are the hidden units', sequential unless given.
    """
    features = x.shape[1]
    of_inputs = torch.tensor([1 + list(order).index(dimension) for dimension in range(features)])
    below, h, layer = of_inputs, x, 0
    shift = torch.zeros(1, 10**4) if context is None else context @ w[f"{net}.of_context.weight"].T
    while f"{net}.layers.{layer + 1}.weight" in w:
        weight = w[f"{net}.layers.{layer}.weight"]
        cycle = torch.arange(len(weight)) % max(1, features - 1) + min(1, features - 1)
        own = cycle.sort().values if degrees is None else degrees[layer]
        h = h @ torch.where(below[None] <= own[:, None], weight, 0.0).T + w[f"{net}.layers.{layer}.bias"]
        h = activation(h + shift[:, : len(weight)] if layer == 0 else h)
        below, layer = own, layer + 1
    weight, bias = w[f"{net}.layers.{layer}.weight"], w[f"{net}.layers.{layer}.bias"]
    numbers = len(weight) // features
    first_width = len(w[f"{net}.layers.0.weight"])
    out = h @ torch.where(below[None] < of_inputs.repeat(numbers)[:, None], weight, 0.0).T + bias
    return (out + shift[:, first_width : first_width + len(weight)]).view(len(x), numbers, features)


def log_normal(u: Tensor) -> Tensor:
    """log N(u; 0, I), [B]."""
    return -0.5 * (u**2 + math.log(2 * math.pi)).sum(dim=1)


def log_mixture(params: Tensor, z: Tensor) -> Tensor:
    """log p of MADE MoG: of K weights, K means and K log-variances for each dimension, [B, 3 K, D]."""
    logits, means, log_variances = params.chunk(3, dim=1)
    variances = log_variances.exp()
    densities = torch.exp(-0.5 * (z[:, None] - means) ** 2 / variances) / (2 * math.pi * variances).sqrt()
    return (torch.softmax(logits, dim=1) * densities).sum(dim=1).log().sum(dim=1)


def logit_of_pixels(x: Tensor, u: Tensor, levels: int, alpha: float) -> tuple[Tensor, Tensor]:
    """logit(alpha + (1 - 2 alpha) (x + u) / levels) row by row, and the log-density that this costs, from p to P."""
    squeezed = alpha + (1 - 2 * alpha) * ((x + u) / levels).flatten(1)
    volume = (1 - 2 * alpha) / levels / (squeezed * (1 - squeezed))
    return torch.log(squeezed / (1 - squeezed)), volume.log().sum(dim=1)
