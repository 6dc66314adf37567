"""log|det(I + J)| of a contraction's Jacobian J, exactly or as a power series of traces, and the series' gradients.

    log det(I + J) = sum_k (-1)^(k+1) / k tr(J^k),   tr(J^k) = E[v' J^k v],  v ~ N(0, I)

Behrmann et al. 2019 (i-ResNet), Section 3.2; Chen et al. 2019 (Residual Flows), Section 3 and Appendices B and C. A
term costs one product of a vector with J. Each term has a weight: 1, or what makes a random end unbiased.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import grad

from genmodels.bijections.base import sum_per_sample
from genmodels.networks.contraction import Contraction, Product

Series = Callable[[Product, Tensor, Sequence[float]], Tensor]


def exact_log_det(product: Product, like: Tensor) -> Tensor:
    """log|det(I + J)| by the whole Jacobian, as many products as dimensions. Shapes: like [B, ...] -> [B], nats.

    Args:
        product: v -> v' J.
        like: what J maps.
    """
    size = like[0].numel()
    identity = torch.eye(size, dtype=like.dtype, device=like.device)
    rows = [product(row.view_as(like[0]).expand_as(like)).flatten(1) for row in identity]
    return torch.linalg.slogdet(identity + torch.stack(rows, dim=1)).logabsdet


def plain_series(product: Product, probe: Tensor, weights: Sequence[float]) -> Tensor:
    """sum_k weights[k-1] (-1)^(k+1) / k v' J^k v, differentiable term by term. Shapes: probe (v) [B, ...] -> [B], nats.

    Args:
        product: v -> v' J.
    """
    value, power = probe.new_zeros(len(probe)), probe
    for k, weight in enumerate(weights, start=1):
        power = product(power)
        value = value - (-1) ** k * weight / k * sum_per_sample(power * probe)
    return value


def neumann_series(product: Product, probe: Tensor, weights: Sequence[float]) -> Tensor:
    """The value of `plain_series` with another estimate of its gradient, which keeps the graph of one product only.

        d log det(I + J) = tr((I + J)^-1 dJ) = E[ (sum_k (-1)^k v' J^k) dJ v ]      (Chen et al. 2019, Theorem 2)

    The official code returns the scalar that has this gradient, which is no log-determinant. The value here takes
    the products with J that the gradient needs anyway.
    """
    with torch.no_grad():
        value, power, total = probe.new_zeros(len(probe)), probe, probe
        for k, weight in enumerate(weights, start=1):
            power = product(power)
            value = value - (-1) ** k * weight / k * sum_per_sample(power * probe)
            total = total + (-1) ** k * weight * power
    surrogate = sum_per_sample(product(total) * probe)
    return value + surrogate - surrogate.detach()


def memory_saving(
    series: Series, net: Contraction, x: Tensor, probe: Tensor, weights: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """g(x) and its series, the gradient of which is computed at once, so that its graph need not wait for the loss.

    The "backward in forward" of Chen et al. 2019, Section 3.2. What stays in memory is the graph of g(x). The gradient
    is computed for a loss in which all log-determinants have one and the same weight, as in a mean over the batch; for
    any other loss the backward pass computes it again.

    Shapes: x, probe [B, ...] -> [B, ...], [B].
    """
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    g, log_det = _MemorySaving.apply(series, net, x, probe, weights, *parameters)
    return g, log_det


class _MemorySaving(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        series: Series,
        net: Contraction,
        x: Tensor,
        probe: Tensor,
        weights: Sequence[float],
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            g, product = net.linearized(x)
            log_det = series(product, probe, weights)
            ctx.inputs = (x, *parameters)
            ctx.gradients = grad(log_det.sum(), ctx.inputs, retain_graph=True, allow_unused=True)
        ctx.g, ctx.again = g, lambda: series(net.linearized(x)[1], probe, weights)
        return g.detach(), log_det.detach()

    @staticmethod
    def backward(ctx: Any, grad_g: Tensor, grad_log_det: Tensor) -> Any:
        if bool((grad_log_det == grad_log_det[0]).all()):
            of_log_det = [None if gradient is None else grad_log_det[0] * gradient for gradient in ctx.gradients]
        else:
            with torch.enable_grad():
                of_log_det = grad(ctx.again(), ctx.inputs, grad_log_det, allow_unused=True)
        of_g = grad(ctx.g, ctx.inputs, grad_g, allow_unused=True)
        of_x, *of_parameters = (_sum(a, b) for a, b in zip(of_g, of_log_det, strict=True))
        return None, None, of_x, None, None, *of_parameters


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b
