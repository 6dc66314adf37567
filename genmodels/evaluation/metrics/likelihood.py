"""K-sample importance-weighted likelihood on a data split, written once for every family.

`model.log_prob` is one log importance weight with E[exp(log_prob(x))] = p(x). The log-mean-exp of K weights bounds
log p(x) from below in expectation, and the bound tightens with K (Burda, Grosse & Salakhutdinov 2016, Theorem 1).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.objectives.units import in_reported_unit
from genmodels.training.seeding import mixed_seed, seeded


@dataclass(frozen=True)
class Likelihood:
    """A figure with all that is needed to compare it.

    Attributes:
        mean: over images, in `unit`; lower is better.
        standard_error: of the mean over images (sample deviation / sqrt(num_images)); None for a single image.
        importance_samples: K.
        exact_or_bound: "bound" means that the true value is lower in expectation.
        num_images: images (or vectors) scored.
        unit: "bits/dim" for images, "nats" per vector for continuous data.
        nats: the mean in nats per image or vector, the unit of the literature on binarised MNIST.
    """

    mean: float
    standard_error: float | None
    importance_samples: int
    exact_or_bound: Literal["exact", "bound"]
    num_images: int
    unit: Literal["bits/dim", "nats"]
    nats: float


@torch.no_grad()
def evaluate_likelihood(
    model: Any,
    batches: Iterable[tuple[Tensor, Tensor | None]],
    *,
    importance_samples: int = 1,
    max_images: int | None = None,
    rows: int = 100,
    seed: int = 0,
) -> Likelihood:
    """Score `batches` of (x, y) under `model`, on the device of its parameters and in evaluation mode.

    The noise of a batch is a function of (seed, position of the batch). The caller's random state is left as it was.

    Args:
        model: has `log_prob(x, y) -> [B]` nats, `exact`, `shape` and `levels`. An exact model needs one sample only,
            so K is then taken as 1.
        importance_samples: K.
        max_images: stop after that many images.
        rows: images x samples that go through the network at a time (memory).

    Raises:
        UserError: a log-weight is not finite, or there is nothing to score.
    """
    samples = 1 if model.exact else importance_samples
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    scores: list[Tensor] = []
    remaining = math.inf if max_images is None else max_images
    try:
        for index, (x, y) in enumerate(batches):
            if remaining <= 0:
                break
            keep = int(min(len(x), remaining))
            remaining -= keep
            x, y = x[:keep].to(device), None if y is None else y[:keep].to(device)
            with seeded(mixed_seed(seed, "evaluation", index), device):
                scores.append(_log_mean_weight(model, x, y, samples, rows).cpu())
    finally:
        model.train(was_training)
    if not scores:
        raise UserError("there is nothing to score: the split is empty or max_images is 0")
    return _summary(torch.cat(scores), model, samples)


def _log_mean_weight(model: Any, x: Tensor, y: Tensor | None, samples: int, rows: int) -> Tensor:
    """log (1/K) sum_k w_k(x), float64 [B]; as many samples at a time as `rows` allows."""
    at_a_time = max(1, rows // len(x))
    chunks = []
    for start in range(0, samples, at_a_time):
        k = min(at_a_time, samples - start)
        repeated = x.repeat(k, *[1] * (x.dim() - 1))
        weights = model.log_prob(repeated, None if y is None else y.repeat(k))
        chunks.append(weights.double().view(k, len(x)))
    log_weights = torch.cat(chunks)
    if not log_weights.isfinite().all():
        bad = int((~log_weights.isfinite()).sum())
        raise UserError(
            f"log_prob gave {bad} values that are not finite among {log_weights.numel()} of a batch: the weights have "
            "diverged, so there is no likelihood to report"
        )
    return log_weights.logsumexp(dim=0) - math.log(samples)


def _summary(log_likelihood: Tensor, model: Any, samples: int) -> Likelihood:
    scores = in_reported_unit(log_likelihood, model)
    count = len(scores)
    return Likelihood(
        mean=float(scores.mean()),
        standard_error=float(scores.std(correction=1)) / math.sqrt(count) if count > 1 else None,
        importance_samples=samples,
        exact_or_bound="exact" if model.exact else "bound",
        num_images=count,
        unit="nats" if model.levels is None else "bits/dim",
        nats=-float(log_likelihood.mean()),
    )
