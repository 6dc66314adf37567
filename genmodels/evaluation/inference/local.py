"""The best posterior that a family has for each example, the decoder held fixed (Cremer, Li & Duvenaud 2018)."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from genmodels.models.contract import SingleLatent

_LEARNING_RATE = 0.02


def log_weights(model: SingleLatent, x: Tensor, features: Tensor, y: Tensor | None, samples: int) -> Tensor:
    """log p(x, z) - log q(z | features) of draws z ~ q(z | features). Shapes: x [B, *shape], features [B, F] -> [K, B].

    Args:
        samples: K.
    """
    z, log_q = model.posterior.sample(features.repeat(samples, 1))
    labels = None if y is None else y.repeat(samples)
    return (model.log_joint(x.repeat(samples, *[1] * (x.dim() - 1)), z, labels) - log_q).view(samples, -1)


def optimised(
    model: SingleLatent,
    x: Tensor,
    features: Tensor,
    y: Tensor | None,
    steps: int,
    samples: int,
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Tensor:
    """Features of each example that maximise its ELBO, found from `features` by Adam with a rate that falls to 0.

    All that q(z | x) sees of x are its features, whatever its family: what it shares over examples, as the weights of a
    flow, stays.

    Args:
        features: where to begin, [B, F].
        steps: of Adam.
        samples: draws of z for each example and step.
        track: wraps the loop over the steps, to show progress.
    """
    local = features.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([local], lr=_LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1.0 / steps, total_iters=steps)
    with torch.enable_grad():
        for _ in track(range(steps)):
            loss = -log_weights(model, x, local, y, samples).mean(dim=0).sum()
            (local.grad,) = torch.autograd.grad(loss, local)
            optimizer.step()
            scheduler.step()
    return local.detach()
