"""Draw why a flexible posterior helps: four data points, two latents, as Figure 1 of Kingma et al. 2016 (IAF).

python experiments/iaf_figure.py figure.png [<steps>]
"""

import sys
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from genmodels.distributions import Bernoulli, StandardNormal
from genmodels.models import VAE, Diagonal, IAFPosterior, MLPNetworks, Posterior
from genmodels.objectives import ELBO
from genmodels.pictures import save_figure
from genmodels.progress_bar import progress

POINTS, SIDE, CELLS = 4, 3.5, 141
COLOURS = ("tab:red", "tab:blue", "tab:green", "tab:orange")


class Fitted(NamedTuple):
    """Of a trained model: draws of each q(z | x), [4, N, 2], and its ELBO, [4]; exact but for the grid log p(x), [4],
    and p(z | x), [4, CELLS, CELLS].
    """

    draws: Tensor
    log_p: Tensor
    exact: Tensor
    elbo: Tensor


def data() -> Tensor:
    """Four images of four pixels of which one is on, [4, 1, 2, 2]."""
    return torch.eye(POINTS, dtype=torch.uint8).view(POINTS, 1, 2, 2)


def fit(posterior: Posterior, steps: int, samples: int = 2000) -> Fitted:
    """Train a VAE with that posterior on the four points and look at what it has inferred."""
    torch.manual_seed(0)
    x = data()
    networks = MLPNetworks(width=64, num_hidden=2)
    model = VAE([1, 2, 2], 2, networks, posterior, StandardNormal([2]), Bernoulli([1, 2, 2], 2))
    optimizer, objective = torch.optim.Adam(model.parameters(), lr=2e-3), ELBO()
    batch = x.repeat(32, 1, 1, 1)
    for _ in progress(range(steps), type(posterior).__name__):
        loss, _ = objective(model, batch, None)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        terms = model.terms(x, samples=samples)
        grid = _grid()
        log_joint = torch.stack([model.log_joint(one.expand(len(grid), -1, -1, -1), grid) for one in x])
        log_cell = 2 * torch.tensor(2 * SIDE / (CELLS - 1)).log()
        log_p = log_joint.logsumexp(dim=1) + log_cell
        exact = (log_joint - log_p[:, None]).exp().view(POINTS, CELLS, CELLS)
        return Fitted(terms.latents[0].transpose(0, 1), log_p, exact, terms.log_weights.mean(dim=0))


def draw(path: str, steps: int = 4000) -> dict[str, Fitted]:
    """Write the picture: for each posterior draws of q(z | x) beside the exact p(z | x) of the same decoder.

    Normal posteriors make the decoder leave room between them, which the prior pays for; the flow fills the prior.
    """
    torch.manual_seed(0)
    found = {"normal": fit(Diagonal(2), steps), "IAF": fit(IAFPosterior(2, 4, 64, 1, 16), steps)}
    figure = Figure(figsize=(15, 3.6), layout="constrained")
    panels = figure.subplots(1, 5)
    prior = StandardNormal([2]).sample(POINTS * 500)
    panels[0].scatter(*prior.T.numpy(), s=2, color="grey", linewidths=0)
    panels[0].set_title("prior")
    for name, (scatter, grid) in zip(found, panels[1:].reshape(2, 2), strict=True):
        fitted = found[name]
        for z, colour in zip(fitted.draws[:, :500], COLOURS, strict=True):
            scatter.scatter(*z.T.numpy(), s=2, color=colour, linewidths=0)
        gap = float((fitted.log_p - fitted.elbo).mean())
        scatter.set_title(f"{name}: q(z | x)\nELBO {float(fitted.elbo.mean()):.2f}, gap {gap:.2f} nats")
        grid.imshow(_coloured(fitted.exact), origin="lower", extent=(-SIDE, SIDE, -SIDE, SIDE))
        grid.set_title(f"{name}: exact p(z | x)\nlog p(x) {float(fitted.log_p.mean()):.2f}")
    for panel in panels:
        panel.set(xlim=(-SIDE, SIDE), ylim=(-SIDE, SIDE), aspect="equal", xticks=[], yticks=[])
    save_figure(figure, path)
    return found


def _grid() -> Tensor:
    """Points of [-3.5, 3.5]^2, row by row from below, [CELLS^2, 2]."""
    axis = torch.linspace(-SIDE, SIDE, CELLS)
    return torch.cartesian_prod(axis, axis).flip(1)


def _coloured(densities: Tensor) -> np.ndarray:
    """White where there is nothing, elsewhere the colours of the points, mixed: [CELLS, CELLS, 3]."""
    shares = (densities / densities.amax()).clamp(max=1).permute(1, 2, 0).numpy()
    absorbed = 1 - np.array([to_rgb(colour) for colour in COLOURS])
    return np.clip(1 - shares**0.7 @ absorbed, 0, 1)


if __name__ == "__main__":
    draw(sys.argv[1], *map(int, sys.argv[2:3]))
