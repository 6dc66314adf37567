"""What the average KL of a VAE is made of: Hoffman & Johnson 2016, ELBO surgery (NIPS Workshop on Advances in AABI)."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.aggregate_posterior import AggregatePosterior
from genmodels.evaluation.metrics.figure import Figure, figure_of, mean_with_error
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.models.capabilities import required
from genmodels.models.contract import SingleLatent
from genmodels.progress_bar import progress
from genmodels.randomness import generator_for, seed_for, seeded

_DRAWS = 10_000


class ELBOSurgery(Metric):
    """The ELBO of the training set in nats, with average KL = mutual information + marginal KL.

        1/N sum_n KL(q(z | x_n) || p(z)) = I(n; z) + KL(q(z) || p(z)),    q(z) = 1/N sum_n q(z | x_n)

    Each term is a mean over the same draws z_n ~ q(z | x_n), one for each of 10,000 (or `max_examples`) examples at
    random, so the parts add up but for rounding:

        ELBO               log p(x_n | z_n) - log q(z_n | x_n) + log p(z_n)     = reconstruction - average KL
        average KL         log q(z_n | x_n) - log p(z_n)
        mutual information log q(z_n | x_n) - log q(z_n)                        <= log N, draw by draw
        marginal KL        log q(z_n) - log p(z_n)

    q(z) is the mixture over all N training examples: one over a minibatch would cap the information at its log size.
    Random binarisation is fixed at one draw for each image. The standard errors are of the choice of examples and z.
    """

    name = "elbo_surgery"
    is_cheap = False
    needs = (SingleLatent,)

    @torch.no_grad()
    def measure(self, trained: Trained) -> Figure:
        model = required(trained.model, SingleLatent, "metrics=[elbo_surgery]")
        features, z, log_likelihood, log_q, log_p = _draws(model, trained)
        n = len(features)
        rows = torch.randperm(n, generator=generator_for("elbo surgery", trained.seed))
        rows = rows[: trained.max_examples or _DRAWS].to(features.device)
        aggregate = AggregatePosterior(model.posterior, features)
        log_marginal = torch.cat([aggregate.log_prob(z[some]) for some in progress(rows.split(500), "q(z)")])
        log_likelihood, log_q, log_p = (term[rows].double() for term in (log_likelihood, log_q, log_p))
        terms = {
            "reconstruction": log_likelihood,
            "average KL": log_q - log_p,
            "mutual information": log_q - log_marginal,
            "marginal KL": log_marginal - log_p,
        }
        if not all(values.isfinite().all() for values in terms.values()):
            raise UserError("the terms of the ELBO are not all finite: the weights have diverged")
        return figure_of(
            log_likelihood - terms["average KL"],
            name=self.name,
            unit="nats",
            direction="higher",
            kind="bound",
            protocol={"aggregate_over": n},
            parts={part: mean_with_error(values) for part, values in terms.items()} | {"log N": (math.log(n), None)},
            split="train",
        )


def _draws(model: SingleLatent, trained: Trained) -> tuple[Tensor, ...]:
    """Of every training example: features [N, F], z [N, Z], log p(x | z), log q(z | x) and log p(z), [N] each."""
    whole = replace(trained, split="train", batches=trained.training_batches, max_examples=None)
    found = []
    with seeded(seed_for("elbo surgery", trained.seed), trained.device):
        for x, y in whole.examples():
            features = model.posterior_features(x, y)
            terms = model.terms(x, y)
            z, log_q = terms.latents[0][0], terms.log_posterior[0]
            log_p = log_q - terms.log_ratios[0][0].sum(dim=-1)
            found.append((features, z, terms.log_likelihood[0], log_q, log_p))
    return tuple(torch.cat(parts) for parts in zip(*found, strict=True))
