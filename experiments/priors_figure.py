"""Draw five priors of two latents above the aggregate posteriors that they met in training, on 8x8 digits.

python experiments/priors_figure.py figure.png [<steps>]
"""

import sys
from collections.abc import Callable

import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import Tensor

from genmodels.bijections import Autoregressive, Compose, GaussianConditional, Reverse
from genmodels.distributions import (
    Base,
    Bernoulli,
    FlowPrior,
    MixtureOfGaussians,
    StandardNormal,
    autoregressive_mixture,
)
from genmodels.evaluation.aggregate_posterior import AggregatePosterior
from genmodels.models import VAE, Diagonal, MLPNetworks, VampPrior
from genmodels.networks import MADENet
from genmodels.objectives import ELBO
from genmodels.pictures import save_figure
from genmodels.progress_bar import progress

CELLS, BATCH = 120, 100


def _flow() -> Base:
    first, second = (Autoregressive(MADENet(2, 2, [50]), GaussianConditional()) for _ in range(2))
    return FlowPrior([2], Compose([first, Reverse(2), second]))


PRIORS: dict[str, Callable[[], Base]] = {
    "normal": lambda: StandardNormal([2]),
    "mixture": lambda: MixtureOfGaussians([2], num_components=30),
    "VampPrior": lambda: VampPrior([2], [1, 8, 8], 2, num_components=30),
    "flow": _flow,
    "autoregressive": lambda: autoregressive_mixture([2], num_components=10, width=50),
}


def data() -> Tensor:
    """1,797 digits in black and white, uint8 [N, 1, 8, 8]."""
    return torch.from_numpy(load_digits(return_X_y=True)[0] > 7.5).to(torch.uint8).view(-1, 1, 8, 8)


def fit(prior: Callable[[], Base], steps: int) -> VAE:
    """Train a VAE of two latents with that prior."""
    torch.manual_seed(0)
    x = data()
    model = VAE([1, 8, 8], 2, MLPNetworks(100), Diagonal(2), prior(), Bernoulli([1, 8, 8], 2))
    optimizer, objective = torch.optim.Adam(model.parameters(), lr=2e-3), ELBO()
    for _ in progress(range(steps), type(model.prior).__name__):
        loss, _ = objective(model, x[torch.randint(len(x), (BATCH,))], None)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@torch.no_grad()
def draw(path: str, steps: int = 3000) -> dict[str, tuple[float, float]]:
    """Write the picture; returns for each prior the ELBO and the divergence KL(q(z) || p(z)) on the digits, in nats."""
    figure = Figure(figsize=(3 * len(PRIORS), 6.6), layout="constrained")
    panels = figure.subplots(2, len(PRIORS))
    found = {}
    for (name, prior), (above, below) in zip(PRIORS.items(), panels.T, strict=True):
        with torch.enable_grad():
            model = fit(prior, steps)
        x = data()
        aggregate = AggregatePosterior(model.posterior, model.posterior_features(x))
        terms = model.terms(x)
        z = terms.latents[0][0]
        divergence = float((aggregate.log_prob(z) - model.prior.log_prob(z)).mean())
        found[name] = float(terms.log_weights.mean()), divergence
        # Wide enough for both, and leaving out the few draws furthest away.
        drawn = torch.cat((z, model.prior.sample(len(z))))
        low, high = torch.quantile(drawn, torch.tensor([0.005, 0.995]), dim=0) + torch.tensor([[-1.0], [1.0]])
        grid = _grid(low, high)
        densities = [log_p(grid).exp().view(CELLS, CELLS) for log_p in (model.prior.log_prob, aggregate.log_prob)]
        extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
        for panel, density in zip((above, below), densities, strict=True):
            # One spike would leave the rest in the dark.
            brightest = float(torch.quantile(densities[1], 0.995))
            panel.imshow(density, origin="lower", extent=extent, aspect="auto", vmin=0, vmax=brightest)
            panel.set(xticks=[], yticks=[])
        above.set_title(f"{name}\nELBO {found[name][0]:.1f}, KL(q(z) || p(z)) {divergence:.2f} nats", fontsize=9)
    panels[0, 0].set_ylabel("prior p(z)")
    panels[1, 0].set_ylabel("aggregate posterior q(z)")
    save_figure(figure, path)
    return found


def _grid(low: Tensor, high: Tensor) -> Tensor:
    """Points between two corners, row by row from below, [CELLS^2, 2]."""
    axes = [torch.linspace(float(a), float(b), CELLS) for a, b in zip(low, high, strict=True)]
    return torch.cartesian_prod(axes[1], axes[0]).flip(1)


if __name__ == "__main__":
    draw(sys.argv[1], *map(int, sys.argv[2:3]))
