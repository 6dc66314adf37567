"""How far a model is from the density that it was fitted to."""

import math
from typing import Any

import torch

from genmodels.errors import UserError
from genmodels.evaluation.metrics.likelihood import Likelihood
from genmodels.objectives.reverse_kl import ReverseKL
from genmodels.training.seeding import mixed_seed, seeded


@torch.no_grad()
def evaluate_reverse_kl(model: Any, objective: ReverseKL, n: int, seed: int = 0) -> Likelihood:
    """Estimate KL(model || density) in nats by `n` samples of the model, on the device of its parameters.

    The noise is a function of the seed. The caller's random state is left as it was.

    Raises:
        UserError: a sample or its density is not finite.
    """
    with seeded(mixed_seed(seed, "reverse_kl"), next(model.parameters()).device):
        values = objective.divergences(model, n).double()
    if not values.isfinite().all():
        raise UserError("the samples of the model or their densities are not all finite: the weights have diverged")
    return Likelihood(
        mean=float(values.mean()),
        standard_error=float(values.std(correction=1)) / math.sqrt(n) if n > 1 else None,
        importance_samples=1,
        exact_or_bound="exact",
        num_images=n,
        unit="nats",
        nats=float(values.mean()),
    )
