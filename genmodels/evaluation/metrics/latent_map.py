"""The plane of a variational autoencoder with two latents."""

from functools import partial

import matplotlib.figure
import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.aggregate_posterior import AggregatePosterior
from genmodels.evaluation.latents import prior_quantiles
from genmodels.evaluation.metrics.figure import Figure, figure_of
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.models.capabilities import required
from genmodels.models.contract import Reconstructs, SingleLatent
from genmodels.models.model import Model
from genmodels.objectives import Objective
from genmodels.pictures import as_bytes, is_image, save_densities, save_figure, save_grid
from genmodels.randomness import seed_for, seeded

_SIDE = 20  # digits of the manifold


class LatentMap(Metric):
    """Three pictures of a two-dimensional latent space, and KL(q(z) || p(z)) in nats as the figure.

    - means: the centre of q(z | x) of every example, coloured by its label;
    - manifold: E[x | z] on a 20 x 20 grid of the prior's quantiles, z1 to the right and z2 upwards (Kingma & Welling
      2014, Figure 4); of a class-conditional model, all of the first example's class;
    - densities: the prior beside the aggregate posterior q(z) = 1/N sum_n q(z | x_n) of these N examples.

    The divergence is a mean over one draw z ~ q(z | x_n) for each of them.
    """

    name = "latent_map"
    is_cheap = False
    needs = (SingleLatent, Reconstructs)

    def applies(self, model: Model, objective: Objective) -> bool:
        return super().applies(model, objective) and is_image(model.shape)

    @torch.no_grad()
    def measure(self, trained: Trained) -> Figure:
        model = required(trained.model, SingleLatent, "metrics=[latent_map]")
        if model.posterior.num_latents != 2:
            raise UserError(
                f"metrics=[latent_map] draws a plane, and the model has {model.posterior.num_latents} latents: train "
                "one with model.posterior.num_latents=2"
            )
        features, labels = _inferred(model, trained)
        aggregate = AggregatePosterior(model.posterior, features)
        with seeded(seed_for("latent map", trained.seed), trained.device):
            z, _ = model.posterior.sample(features)
        means, manifold, densities = (
            trained.picture(f"latent_{what}_{trained.split}") for what in ("means", "manifold", "densities")
        )
        save_figure(draw_means(model.posterior.centre(features), labels), means)
        save_grid(_manifold(trained), 256, manifold, _SIDE)
        shown = {"prior": model.prior.log_prob, f"aggregate posterior, {trained.split}": aggregate.log_prob}
        save_densities(shown, densities, trained.device)
        return figure_of(
            aggregate.log_prob(z) - model.prior.log_prob(z).double(),
            name=self.name,
            unit="nats",
            direction="lower",
            kind="estimate",
            pictures=(str(means), str(manifold), str(densities)),
        )


def draw_means(z: Tensor, labels: Tensor | None) -> matplotlib.figure.Figure:
    """A scatter plot of z [N, 2], for each label [N] in a colour of its own."""
    figure = matplotlib.figure.Figure(figsize=(6.5, 6), layout="constrained")
    axes = figure.subplots()
    scatter = partial(axes.scatter, s=3, alpha=0.6, linewidths=0)
    points = z.cpu().numpy()
    if labels is None:
        scatter(*points.T)
    else:
        for label in labels.unique().tolist():
            scatter(*points[labels.cpu().numpy() == label].T, label=str(label))
        axes.legend(markerscale=4, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axes.set(aspect="equal", xlabel="z1", ylabel="z2")
    return figure


def _inferred(model: SingleLatent, trained: Trained) -> tuple[Tensor, Tensor | None]:
    """Features and labels of all examples."""
    features, labels = zip(*((model.posterior_features(x, y), y) for x, y in trained.examples()), strict=True)
    return torch.cat(features), None if labels[0] is None else torch.cat(labels)


def _manifold(trained: Trained) -> Tensor:
    """Row by row from the top left, uint8 [400, C, H, W] of 256 levels."""
    model = required(trained.model, Reconstructs, "metrics=[latent_map]")
    prior = required(trained.model, SingleLatent, "metrics=[latent_map]").prior
    levels = trained.model.levels
    assert levels is not None  # of images
    with seeded(seed_for("latent map", trained.seed), trained.device):
        first, second = prior_quantiles(prior, (torch.arange(_SIDE) + 0.5) / _SIDE).T
    z = torch.cartesian_prod(second.flip(0), first).flip(1)
    _, y = trained.first(1)
    return as_bytes(model.decode_mean(z, None if y is None else y.expand(len(z))), levels)
