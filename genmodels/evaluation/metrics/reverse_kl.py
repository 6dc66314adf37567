"""How far a model is from the density that it was fitted to."""

import torch

from genmodels.errors import UserError
from genmodels.evaluation.metrics.figure import Figure, figure_of
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.models.capabilities import required
from genmodels.models.contract import SampledDensity
from genmodels.models.model import Model
from genmodels.objectives import Objective
from genmodels.randomness import seed_for, seeded

_SAMPLES = 10_000


class ReverseKLDivergence(Metric):
    """KL(model || density) in nats, a Monte-Carlo mean of log q(x) - log p(x) over samples x of the model q.

    Over 10,000 samples, or `max_examples`. 0 is perfect; a finite mean may come out below it.
    """

    name = "reverse_kl"
    needs = (SampledDensity,)

    def applies(self, model: Model, objective: Objective) -> bool:
        return objective.target is not None and super().applies(model, objective)

    @torch.no_grad()
    def measure(self, trained: Trained) -> Figure:
        sampler, target = required(trained.model, SampledDensity, "metrics=[reverse_kl]"), trained.objective.target
        assert target is not None  # `applies` has seen to it
        samples = trained.max_examples or _SAMPLES
        with seeded(seed_for("reverse_kl", trained.seed), next(trained.model.parameters()).device):
            x, log_prob = sampler.sample_with_log_prob(samples)
        values = (log_prob - target(x)).double()
        if not values.isfinite().all():
            raise UserError("the samples of the model or their densities are not all finite: the weights have diverged")
        return figure_of(
            values,
            name=self.name,
            unit="nats",
            direction="lower",
            kind="estimate",
            counted="samples",
        )
