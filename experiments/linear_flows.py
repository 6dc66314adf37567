"""Fit two moons with matrices alone, with couplings alone, and with both: what a linear flow is for.

python experiments/linear_flows.py <folder> [<steps>]

Matrices turn a normal base into another normal distribution, however many there are: the best one has the mean and the
covariance of the data, and its likelihood is computed here in closed form beside the trained ones. Couplings that
always change the same coordinate leave the other one as it is. Mixed, by reversals or by learned matrices, they bend.
Three seeds each, of which the middle one is drawn. One and a half CPU minutes.
"""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genmodels.bijections import PLU, Bijection, Compose, Coupling, Reverse, TanhAffine
from genmodels.data.sources.toy2d import moons
from genmodels.data.sources.toy2d_densities import log_density
from genmodels.files import write_text
from genmodels.models import Flow
from genmodels.networks import MLP
from genmodels.pictures import save_figure
from genmodels.progress_bar import progress

BATCH, LAYERS, WIDTH, SEEDS = 256, 8, 32, 3
SIDE, CELLS = 4.0, 200


def couplings(between: Callable[[], Bijection] | None = None) -> list[Bijection]:
    """Eight couplings, each of which changes the second coordinate given the first, and what comes behind each."""
    layers: list[Bijection] = []
    for _ in range(LAYERS):
        layers.append(Coupling(MLP(1, 2, WIDTH, num_hidden=1), TanhAffine(1.0)))
        layers += [between()] if between else []
    return layers


FLOWS: dict[str, Callable[[], list[Bijection]]] = {
    "one matrix": lambda: [PLU(2)],
    "eight matrices": lambda: [PLU(2) for _ in range(LAYERS)],
    "eight couplings": couplings,
    "eight couplings, reversed": lambda: couplings(lambda: Reverse(2)),
    "eight couplings, matrices": lambda: couplings(lambda: PLU(2)),
}


def points(part: int, count: int) -> Tensor:
    """Moons of `toy2d`, 0 for training and 1 for test, float32 [count, 2]."""
    return torch.from_numpy(moons(count, np.random.default_rng([0, part])).astype(np.float32))


def fit(layers: Callable[[], list[Bijection]], steps: int, seed: int) -> Flow:
    """Maximum likelihood."""
    torch.manual_seed(seed)
    model, x = Flow(Compose(layers()), [2], None), points(0, 60_000)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in progress(range(steps), f"{len(layers())} layers"):
        optimizer.zero_grad()
        (-model.log_prob(x[torch.randint(len(x), (BATCH,))]).mean()).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def best_normal(x: Tensor) -> float:
    """The mean of -log p of points [N, 2] under the normal distribution that fits them best, nats: its entropy."""
    return float(torch.logdet(2 * math.pi * math.e * torch.cov(x.double().T, correction=0)) / 2)


def scored(models: list[Flow], x: Tensor) -> dict[str, Any]:
    """Of one flow's seeds the means of -log p in nats a point [N, 2], their mean and their standard deviation."""
    nats = torch.stack([-model.log_prob(x).double().mean() for model in models])
    return {"seeds": nats.tolist(), "nats": float(nats.mean()), "deviation": float(nats.std())}


def middle_of(nats: list[float]) -> int:
    """Which seed is the median; of an even number the better one of the two in the middle."""
    return sorted(range(len(nats)), key=nats.__getitem__)[(len(nats) - 1) // 2]


def draw(models: dict[str, Flow], found: dict[str, Any], path: Path) -> None:
    """The density of the data and that of each flow, brightest where the data's own is highest."""
    axis = torch.linspace(-SIDE, SIDE, CELLS)
    grid = torch.cartesian_prod(axis, axis).flip(1)
    densities: dict[str, Callable[[Tensor], Tensor]] = {"data": lambda x: log_density("moons", x)}
    densities |= {name: model.log_prob for name, model in models.items()}
    figure = Figure(figsize=(10.5, 7.2), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    brightest = float(log_density("moons", grid).exp().max())
    for (name, log_p), panel in zip(densities.items(), panels.flat, strict=True):
        shown = panel.imshow(
            log_p(grid).exp().view(CELLS, CELLS),
            origin="lower",
            extent=(-SIDE, SIDE, -SIDE, SIDE),
            vmin=0,
            vmax=brightest,
        )
        chance = f" ± {found[name]['deviation']:.3f}" if "deviation" in found[name] else ""
        panel.set_title(f"{name}\n{found[name]['nats']:.3f}{chance} nats a point", fontsize=11)
        panel.set(xticks=[-3, 0, 3], yticks=[-3, 0, 3])
    for panel in panels[1]:
        panel.set_xlabel("$x_1$")
    for panel in panels[:, 0]:
        panel.set_ylabel("$x_2$")
    figure.colorbar(shown, ax=panels, label="density p(x)", shrink=0.7)
    save_figure(figure, path)


def main(folder: Path, steps: int = 1500, seeds: int = SEEDS) -> dict[str, Any]:
    """Write linear_flows.png and .json into the folder: nats a test point, and of the best normal distribution."""
    models = {name: [fit(layers, steps, seed) for seed in range(seeds)] for name, layers in FLOWS.items()}
    x = points(1, 10_000)
    with torch.no_grad():
        found: dict[str, Any] = {"data": {"nats": float(-log_density("moons", x).mean())}}
        found |= {name: scored(flows, x) for name, flows in models.items()}
        middle = {name: flows[middle_of(found[name]["seeds"])] for name, flows in models.items()}
        draw(middle, found, folder / "linear_flows.png")
    found["best normal distribution"] = {"nats": best_normal(x)}
    write_text(
        folder / "linear_flows.json", json.dumps({"steps": steps, "batch_size": BATCH, **found}, indent=1) + "\n"
    )
    return found


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    print(json.dumps(main(Path(sys.argv[1]), *map(int, sys.argv[2:3])), indent=1))
