"""How much of an example a model finds again from what it has inferred."""

from pathlib import Path

import torch

from genmodels.evaluation.metrics.figure import Figure, figure_of, mean_with_error
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.models.capabilities import offered, required
from genmodels.models.contract import LatentVariables, Reconstructs
from genmodels.pictures import as_bytes, is_image, save_grid
from genmodels.randomness import seed_for, seeded

_COLUMNS, _IMAGES = 10, 40


class Reconstruction(Metric):
    """E_q[log p(x | z)] in nats, a mean over K draws of z for each example, and beside it the KL: the rest of the ELBO.

    The picture has rows of originals, each above the row of their reconstructions E[x | z], z the centre of q(z | x).
    """

    name = "reconstruction"
    is_cheap = False
    needs = (LatentVariables,)

    @torch.no_grad()
    def measure(self, trained: Trained) -> Figure:
        model = required(trained.model, LatentVariables, "metrics=[reconstruction]")
        log_likelihoods, kls = [], []
        with seeded(seed_for("reconstruction", trained.seed), trained.device):
            for x, y in trained.examples(trained.importance_samples):
                terms = model.terms(x, y, trained.importance_samples)
                log_likelihoods.append(terms.log_likelihood.double().mean(dim=0))
                kls.append(sum((kl.double().sum(dim=1) for kl in terms.kls), start=torch.zeros(())))
        return figure_of(
            torch.cat(log_likelihoods),
            name=self.name,
            unit="nats",
            direction="higher",
            kind="estimate",
            protocol={"importance_samples": trained.importance_samples},
            parts={"KL": mean_with_error(torch.cat(kls))},
            pictures=tuple(map(str, _pictures(trained))),
        )


def _pictures(trained: Trained) -> list[Path]:
    """Of the first 40 examples, where the model can draw them."""
    model, levels = offered(trained.model, Reconstructs), trained.model.levels
    if model is None or levels is None or not is_image(trained.model.shape):
        return []
    x, y = trained.first(_IMAGES)
    means = model.decode_mean(model.encode(x, y), y)
    columns = min(_COLUMNS, len(x))
    rows = [row for pair in zip(x.split(columns), means.split(columns), strict=True) for row in pair]
    path = trained.picture(f"reconstruction_{trained.split}")
    save_grid(torch.cat([as_bytes(row, levels) for row in rows if len(row) == columns]), 256, path, columns)
    return [path]
