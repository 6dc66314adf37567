"""log|det(I + J)| of a contraction's Jacobian J, exactly or as a power series of traces, and the series' gradients.

    log det(I + J) = sum_k (-1)^(k+1) / k tr(J^k),   tr(J^k) = E[v' J^k v],  v ~ N(0, I)

Behrmann et al. 2019 (i-ResNet), Section 3.2; Chen et al. 2019 (Residual Flows), Section 3 and Appendices B and C. A
term costs one product of a vector with J. Each term has a weight: 1, or what makes a random end unbiased.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import grad

from genmodels.bijections.base import sum_per_sample

Series = Callable[[Tensor, Tensor, Tensor, Sequence[float]], Tensor]


def exact_log_det(g: Tensor, x: Tensor, *, with_graph: bool) -> Tensor:
    """log|det(I + dg/dx)| by the whole Jacobian, as many products as dimensions. Shapes: g, x [B, ...] -> [B], nats.

    Args:
        g: of x, with gradient.
        with_graph: whether the result is to be differentiated.
    """
    outputs = g.flatten(1)
    rows = [grad(o.sum(), x, create_graph=with_graph, retain_graph=True)[0].flatten(1) for o in outputs.unbind(dim=1)]
    identity = torch.eye(len(rows), dtype=g.dtype, device=g.device)
    return torch.linalg.slogdet(identity + torch.stack(rows, dim=1)).logabsdet


def plain_series(g: Tensor, x: Tensor, probe: Tensor, weights: Sequence[float]) -> Tensor:
    """sum_k weights[k-1] (-1)^(k+1) / k v' J^k v, differentiable term by term.

    Shapes: g, x, probe (v) [B, ...] -> [B], nats.
    """
    return _series(g, x, probe, weights, with_graph=True)


def neumann_series(g: Tensor, x: Tensor, probe: Tensor, weights: Sequence[float]) -> Tensor:
    """The value of `plain_series` with another estimate of its gradient, which keeps the graph of one product only.

        d log det(I + J) = tr((I + J)^-1 dJ) = E[ (sum_k (-1)^k v' J^k) dJ v ]      (Chen et al. 2019, Theorem 2)

    The official code returns the scalar that has this gradient, which is no log-determinant. The value here takes
    the products with J that the gradient needs anyway.
    """
    value, product, total = _zeros(x), probe, probe
    for k, weight in enumerate(weights, start=1):
        (product,) = grad(g, x, product, retain_graph=True)
        value = value - (-1) ** k * weight / k * sum_per_sample(product * probe)
        total = total + (-1) ** k * weight * product
    (last,) = grad(g, x, total, create_graph=True)
    surrogate = sum_per_sample(last * probe)
    return value + surrogate - surrogate.detach()


def series_value(g: Tensor, x: Tensor, probe: Tensor, weights: Sequence[float]) -> Tensor:
    """The value of `plain_series` alone."""
    return _series(g, x, probe, weights, with_graph=False)


def memory_saving(
    series: Series, net: nn.Module, x: Tensor, probe: Tensor, weights: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """g(x) and its series, the gradient of which is computed at once, so that its graph need not wait for the loss.

    The "backward in forward" of Chen et al. 2019, Appendix C. What stays in memory is the graph of g(x). The gradient
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
        net: nn.Module,
        x: Tensor,
        probe: Tensor,
        weights: Sequence[float],
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            g = net(x)
            log_det = series(g, x, probe, weights)
            inputs = (x, *parameters)
            ctx.gradients = grad(log_det.sum(), inputs, retain_graph=True, allow_unused=True)
        ctx.g, ctx.inputs, ctx.again = g, inputs, lambda: series(g, x, probe, weights)
        return g.detach(), log_det.detach()

    @staticmethod
    def backward(ctx: Any, grad_g: Tensor, grad_log_det: Tensor) -> Any:
        if bool((grad_log_det == grad_log_det[0]).all()):
            of_log_det = [None if gradient is None else grad_log_det[0] * gradient for gradient in ctx.gradients]
        else:
            with torch.enable_grad():
                of_log_det = grad(ctx.again(), ctx.inputs, grad_log_det, retain_graph=True, allow_unused=True)
        of_g = grad(ctx.g, ctx.inputs, grad_g, allow_unused=True)
        sums = [_sum(a, b) for a, b in zip(of_g, of_log_det, strict=True)]
        return None, None, sums[0], None, None, *sums[1:]


def _series(g: Tensor, x: Tensor, probe: Tensor, weights: Sequence[float], with_graph: bool) -> Tensor:
    value, product = _zeros(x), probe
    for k, weight in enumerate(weights, start=1):
        (product,) = grad(g, x, product, create_graph=with_graph, retain_graph=True)
        value = value - (-1) ** k * weight / k * sum_per_sample(product * probe)
    return value


def _zeros(x: Tensor) -> Tensor:
    return x.new_zeros(len(x))


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b
