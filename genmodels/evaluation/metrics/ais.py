"""log p(x) by annealed importance sampling: Wu, Burda, Salakhutdinov & Grosse 2017 (1611.04273)."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.inference.annealing import Schedule, anneal
from genmodels.evaluation.metrics.figure import Figure, figure_of
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.models.capabilities import required
from genmodels.models.contract import SingleLatent
from genmodels.objectives.units import bits_per_dim
from genmodels.progress_bar import shared_progress
from genmodels.randomness import seed_for, seeded

EXAMPLES = 100  # unless `max_examples` says otherwise
SCHEDULE: Schedule = "sigmoidal"
LEAPFROG_STEPS = 10


class AnnealedImportanceSampling(Metric):
    """The log-likelihood in nats, from the prior to the posterior of each of 100 (or `max_examples`) examples.

    The log-mean-exp over K chains, `importance_samples`, of `annealing_steps` temperatures each with 10 leapfrog steps
    between them. It asks nothing of the encoder. In expectation it is below log p(x), and approaches it with longer
    chains; `Monte-Carlo error` is that of one example, as the spread of its chains tells it: where it is above some
    tenths of a nat, the chains are too short or too few.
    """

    name = "ais"
    is_cheap = False
    needs = (SingleLatent,)

    def measure(self, trained: Trained) -> Figure:
        model = required(trained.model, SingleLatent, "metrics=[ais]")
        chains, steps = trained.importance_samples, trained.annealing_steps
        x, y = trained.first(trained.max_examples or EXAMPLES)
        parts = torch.arange(len(x)).split(max(1, trained.batch_size // chains))
        with (
            seeded(seed_for("ais", trained.seed), trained.device),
            shared_progress(len(parts) * steps, "annealing") as track,
        ):
            labels = [None if y is None else y[rows] for rows in parts]
            found = [
                annealed_log_weights(model, x[rows], label, chains, steps, track)
                for rows, label in zip(parts, labels, strict=True)
            ]
        log_weights = torch.cat(found, dim=1)
        log_p = log_weights.logsumexp(dim=0) - math.log(chains)
        images = trained.model.levels is not None
        return figure_of(
            log_p,
            name=self.name,
            unit="nats",
            direction="higher",
            kind="bound",
            protocol=annealing_protocol(trained),
            other_units={"bits/dim": float(bits_per_dim(log_p.mean(), trained.model.shape))} if images else {},
            parts={"Monte-Carlo error": (_monte_carlo_error(log_weights), None)} if chains > 1 else {},
        )


def annealed_log_weights(
    model: SingleLatent,
    x: Tensor,
    y: Tensor | None,
    chains: int,
    steps: int,
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Tensor:
    """One log-weight of each chain, [K, B] float64: see `anneal`.

    Raises:
        UserError: one is not finite.
    """
    rows = x.repeat(chains, *[1] * (x.dim() - 1))
    labels = None if y is None else y.repeat(chains)

    def draw() -> Tensor:
        with torch.no_grad():
            return model.prior.sample(len(rows)).view(chains, len(x), -1)

    log_weights = anneal(
        model.prior.log_prob,
        lambda z: model.log_joint(rows, z, labels),
        draw,
        steps,
        LEAPFROG_STEPS,
        SCHEDULE,
        track,
    )
    if not log_weights.isfinite().all():
        raise UserError("the annealed weights are not all finite: the model's weights have diverged")
    return log_weights


def annealing_protocol(trained: Trained) -> dict[str, int | str]:
    """What figures by `annealed_log_weights` must share to be compared."""
    return {
        "importance_samples": trained.importance_samples,
        "annealing_steps": trained.annealing_steps,
        "leapfrog_steps": LEAPFROG_STEPS,
        "schedule": SCHEDULE,
    }


def _monte_carlo_error(log_weights: Tensor) -> float:
    """Of one example's log-mean-exp over K chains, by the delta method: std of w / (mean of w, sqrt K); typical (rms).

    Shapes: [K, B].
    """
    relative = (log_weights - log_weights.logsumexp(dim=0)).exp() * len(log_weights)
    return float((relative.var(dim=0) / len(log_weights)).mean().sqrt())
