"""K-sample importance-weighted likelihood, written once for every family.

`model.log_prob` is one log importance weight with E[exp(log_prob(x))] = p(x). The log-mean-exp of K weights bounds
log p(x) from below in expectation, and the bound tightens with K (Burda, Grosse & Salakhutdinov 2016, Theorem 1).
"""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.metrics.figure import Figure, figure_of
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.evaluation.team import ALONE, Team
from genmodels.models.capabilities import required
from genmodels.models.contract import Batch, Density
from genmodels.models.data_checks import in_words
from genmodels.models.log_weights import log_weights
from genmodels.models.model import Model
from genmodels.objectives.units import in_reported_unit, metric_name
from genmodels.progress_bar import progress
from genmodels.randomness import seed_for, seeded


class Likelihood(Metric):
    """Bits/dim of images, nats of vectors, with K samples an example; an exact model needs and takes one.

    Where log p is estimated (see `Model.estimates_log_prob`) K estimates are averaged, and the bound is that of one.
    """

    name = "likelihood"
    needs = (Density,)
    is_shared = True

    def measure(self, trained: Trained) -> Figure:
        density = required(trained.model, Density, "metrics=[likelihood]")
        samples = 1 if density.exact else trained.importance_samples
        batches = progress(
            trained.batches(max(1, trained.batch_size // samples)), description=f"scoring {trained.split}"
        )
        scores = log_likelihoods(
            trained.model, batches, samples, trained.max_examples, trained.batch_size, trained.seed, trained.team
        )
        images = trained.model.levels is not None
        estimated = trained.model.estimates_log_prob
        protocol = {"importance_samples": 1, "averaged": samples} if estimated else {"importance_samples": samples}
        return figure_of(
            in_reported_unit(scores, trained.model),
            name=metric_name(trained.model),
            unit="bits/dim" if images else "nats",
            direction="lower",
            kind="exact" if density.exact else "bound" if images or not estimated else "estimate",
            protocol=protocol,
            other_units={"nats": -float(scores.mean())} if images else {},
        )


@torch.no_grad()
def log_likelihoods(
    model: Model,
    batches: Iterable[Batch],
    importance_samples: int = 1,
    max_examples: int | None = None,
    rows: int = 100,
    seed: int = 0,
    team: Team = ALONE,
) -> Tensor:
    """log (1/K) sum_k w_k(x) for each example, float64 [N] nats, on the device of the parameters, in evaluation mode.

    Of a model that estimates log p, see `Model.estimates_log_prob`, (1/K) sum_k log w_k(x).

    The noise of a batch is a function of (seed, position of the batch). The caller's random state is left as it was.

    Args:
        model: with a density.
        importance_samples: K.
        max_examples: stop after that many.
        rows: examples x samples that go through the network at a time (memory).
        team: processes that share the batches; each gets all scores.

    Raises:
        UserError: a log-weight is not finite, or there is nothing to score.
    """
    required(model, Density, "a likelihood")
    device = next(model.parameters()).device

    def score_of(index: int, part: tuple[int, Tensor, Tensor | None]) -> Tensor:
        first, x, y = part
        x, y = x.to(device), None if y is None else y.to(device)
        with seeded(seed_for("evaluation", seed, index), device):
            score = _log_mean_weight(model, x, y, importance_samples, rows).cpu()
        if not score.isfinite().all():
            raise UserError(_not_finite(model, x, score, first))
        return score

    was_training = model.training
    model.eval()
    try:
        scores = list(team.shared(_cut(batches, max_examples), score_of))
    finally:
        model.train(was_training)
    if not scores:
        raise UserError("there is nothing to score: the split is empty or max_images is 0")
    return torch.cat(scores)


def _cut(batches: Iterable[Batch], max_examples: int | None) -> Iterator[tuple[int, Tensor, Tensor | None]]:
    """The first so many examples, in batches, each with the position of its first example."""
    first = 0
    for x, y in batches:
        keep = len(x) if max_examples is None else min(len(x), max_examples - first)
        if keep <= 0:
            return
        yield first, x[:keep], None if y is None else y[:keep]
        first += keep


def _log_mean_weight(model: Model, x: Tensor, y: Tensor | None, samples: int, rows: int) -> Tensor:
    """log (1/K) sum_k w_k(x), float64 [B]; as many samples at a time as `rows` allows, and only their sum is kept."""
    at_a_time = max(1, rows // len(x))
    averages = model.estimates_log_prob
    total = torch.full((len(x),), 0.0 if averages else -math.inf, dtype=torch.float64, device=x.device)
    for start in range(0, samples, at_a_time):
        weights = log_weights(model, x, y, min(at_a_time, samples - start), "a likelihood").double()
        total = total + weights.sum(dim=0) if averages else torch.logaddexp(total, weights.logsumexp(dim=0))
    return total / samples if averages else total - math.log(samples)


def _not_finite(model: Model, x: Tensor, score: Tensor, first: int) -> str:
    """A sentence about scores [B] that are not all finite; `first` is the position of the batch's first example."""
    diverged = [name for name, parameter in model.named_parameters() if not parameter.isfinite().all()]
    if diverged:
        return f"the weights have diverged ({diverged[0]} is not finite), so there is no likelihood to report"
    bad = (~score.isfinite()).nonzero()[:, 0].tolist()
    if len(bad) == len(score) > 1:
        return (
            f"log_prob is not finite for any of the {len(score)} examples from row {first} on: the weights have "
            "diverged, so there is no likelihood to report"
        )
    more = f" and for {len(bad) - 1} more among {len(score)}" if len(bad) > 1 else ""
    return (
        f"log_prob is {score[bad[0]].item()} for row {first + bad[0]} of the split{more}, whose {in_words(x[bad[0]])}: "
        "an example that lies far outside of the training data; mend or remove it"
    )
