"""What each latent of a variational autoencoder does to a picture."""

import torch
from torch import Tensor
from torch.special import ndtr

from genmodels.errors import UserError
from genmodels.evaluation.latents import prior_quantiles
from genmodels.evaluation.metrics.figure import Figure
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.models.capabilities import required
from genmodels.models.contract import Reconstructs, SingleLatent
from genmodels.models.model import Model
from genmodels.objectives import Objective
from genmodels.pictures import as_bytes, is_image, save_grid
from genmodels.randomness import seed_for, seeded

_ROWS = 20
_PROBABILITIES = ndtr(torch.linspace(-2.5, 2.5, 11))  # at even steps of a normal latent


class LatentTraversal(Metric):
    """A picture of the first example and, a row for each latent, of E[x | z] as that latent runs through its prior.

    The other latents stay at the centre of q(z | x). Eleven quantiles of the prior, from 0.6 to 99.4 %; in front of
    each row the example itself. At most 20 rows, the latent that varies most over the data first. The figure is the
    variance over the examples of the centres of q(z | x), a mean over latents; `parts`: that of each row, in their
    order, where latents count from 1.
    """

    name = "latent_traversal"
    is_cheap = False
    needs = (SingleLatent, Reconstructs)

    def applies(self, model: Model, objective: Objective) -> bool:
        return super().applies(model, objective) and is_image(model.shape)

    @torch.no_grad()
    def measure(self, trained: Trained) -> Figure:
        model = required(trained.model, Reconstructs, "metrics=[latent_traversal]")
        centres = torch.cat([model.encode(x, y).double() for x, y in trained.examples()])
        if len(centres) < 2:
            raise UserError("metrics=[latent_traversal] needs two examples at least: choose a larger max_images")
        variances = centres.var(dim=0)
        order = variances.argsort(descending=True)[:_ROWS].tolist()
        path = trained.picture(f"latent_traversal_{trained.split}")
        columns = 1 + len(_PROBABILITIES)
        save_grid(_tiles(trained, order), 256, path, columns)
        return Figure(
            name=self.name,
            mean=float(variances.mean()),
            standard_error=None,
            unit="",
            direction="higher",
            num_examples=len(centres),
            kind="estimate",
            parts={f"latent {latent + 1}": (float(variances[latent]), None) for latent in order},
            pictures=(str(path),),
        )


def _tiles(trained: Trained, order: list[int]) -> Tensor:
    """Row by row, uint8 [rows * columns, C, H, W] of 256 levels."""
    model = required(trained.model, Reconstructs, "metrics=[latent_traversal]")
    prior = required(trained.model, SingleLatent, "metrics=[latent_traversal]").prior
    levels = trained.model.levels
    assert levels is not None  # of images
    with seeded(seed_for("latent traversal", trained.seed), trained.device):
        values = prior_quantiles(prior, _PROBABILITIES)
    x, y = trained.first(1)
    centre = model.encode(x, y)
    labels = None if y is None else y.expand(len(values))
    tiles = []
    for latent in order:
        z = centre.repeat(len(values), 1)
        z[:, latent] = values[:, latent]
        tiles += [as_bytes(x, levels), as_bytes(model.decode_mean(z, labels), levels)]
    return torch.cat(tiles)
