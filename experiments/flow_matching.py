"""Train one continuous flow in three ways, and lay test likelihood against the CPU time that each took.

python experiments/flow_matching.py <folder> [<CPU seconds for each way: points> <digits>]

The same network from the same start, by its likelihood (FFJORD's objective, which solves an equation and its gradient
in every step), by flow matching, and by flow matching with optimal transport within batches. On pinwheel, points of the
plane: 64-64-64 units, the exact trace, dopri5 at 1e-5. On 8x8 digits: a small U-Net, Hutchinson's trace, dopri5 at 1e-3
in training and 1e-4 in tests. Adam at the same rate for all; steps of training alone count as time. Writes
flow_matching.json, flow_matching.md and flow_matching.png into the folder.
"""

import itertools
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import Tensor

from genmodels.bijections import Solver
from genmodels.data.sources.toy2d import pinwheel
from genmodels.models import CNF
from genmodels.networks import MLPField, UNetField
from genmodels.objectives import FlowMatching, Loss, NegativeLogLikelihood
from genmodels.objectives.units import in_reported_unit
from genmodels.pictures import save_figure
from genmodels.progress_bar import progress

Curve = list[tuple[float, float]]  # CPU seconds of training, test likelihood in the unit of the data
WAYS: dict[str, Callable[[], Loss]] = {
    "likelihood": NegativeLogLikelihood,
    "flow matching": FlowMatching,
    "flow matching, optimal transport": lambda: FlowMatching("optimal_transport"),
}
LEARNING_RATE, MEASUREMENTS = 0.002, 6


def points() -> tuple[Callable[[], CNF], Tensor, Tensor]:
    """A flow of the plane, 20,000 points to train on and 1,000 to test on."""
    x = torch.from_numpy(pinwheel(21_000, np.random.default_rng(0))).float()
    solver = Solver(adjoint=False)
    return lambda: CNF((2,), None, field=MLPField(), trace="exact", solver=solver), x[:20_000], x[20_000:]


def digits() -> tuple[Callable[[], CNF], Tensor, Tensor]:
    """A flow of 8x8 digits, 1,697 to train on and 100 to test on."""
    x = torch.from_numpy(load_digits(return_X_y=True)[0]).to(torch.uint8).view(-1, 1, 8, 8)
    x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))]
    solvers = {"solver": Solver("dopri5", 1e-3, 1e-3, adjoint=False), "evaluation_solver": Solver("dopri5", 1e-4, 1e-4)}
    return lambda: CNF((1, 8, 8), 17, field=UNetField(16, 1), **solvers), x[100:], x[:100]


SETS = {"pinwheel": (points, 256, "nats"), "digits": (digits, 64, "bits/dim")}


def run(
    make: Callable[[], CNF], way: str, data: tuple[Tensor, Tensor], batch: int, seconds: float
) -> tuple[CNF, Curve]:
    """Train for that much CPU time; likelihoods are measured at times in equal ratios."""
    torch.manual_seed(0)
    train, test = data
    model, objective, curve, spent = make(), WAYS[way](), [], 0.0
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    for due in progress([seconds * 2.0 ** (k - MEASUREMENTS + 1) for k in range(MEASUREMENTS)], way):
        while spent < due:
            start = time.process_time()
            loss, _ = objective(model, train[torch.randint(len(train), (batch,))], None)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            spent += time.process_time() - start
        curve.append((spent, likelihood(model, test)))
    return model, curve


@torch.no_grad()
def likelihood(model: CNF, test: Tensor) -> float:
    """Of the test set, with the same noise each time, in bits/dim or nats; lower is better."""
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        found = float(in_reported_unit(model.eval().log_prob(test), model).mean())
    model.train()
    return found


def seconds_to(curve: Curve, goal: float) -> float | None:
    """The CPU time at which the curve, straight in the logarithm of time, first comes down to `goal`.

    That of the first measurement where it is there already.
    """
    for (before, above), (after, below) in itertools.pairwise(curve):
        if below <= goal:
            share = min(1.0, max(0.0, (above - goal) / (above - below))) if above > below else 0.0
            return before * (after / before) ** share
    return None


def table(found: Mapping[str, Mapping[str, Curve]]) -> str:
    """Markdown: for each set and way the last figure, and the time to what the likelihood's objective came to."""
    lines = [
        "# CPU time to equal test likelihood: flow matching and FFJORD's own objective",
        "",
        "The same network, start, optimiser and batches; one run of each, one thread. Seconds are of training alone.",
        "",
        "| data | trained by | CPU seconds | test likelihood then | seconds to the likelihood's last figure |",
        "|---|---|---|---|---|",
    ]
    for name, curves in found.items():
        goal = curves["likelihood"][-1][1]
        for way, curve in curves.items():
            needed = curve[-1][0] if way == "likelihood" else seconds_to(curve, goal)
            before = "at most " if needed == curve[0][0] else ""
            reached = "not reached" if needed is None else f"{before}{needed:.1f}"
            lines.append(f"| {name} | {way} | {curve[-1][0]:.0f} | {curve[-1][1]:.3f} {SETS[name][2]} | {reached} |")
    return "\n".join(lines) + "\n"


@torch.no_grad()
def draw(found: Mapping[str, Mapping[str, Curve]], models: Mapping[str, Mapping[str, CNF]], path: Path) -> None:
    """For each set a row: the curves, then samples of each way."""
    figure = Figure(figsize=(4 + 3 * len(WAYS), 3.4 * len(found)), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.12)  # type: ignore[union-attr, call-arg]  # or the first titles are cut
    rows = figure.subplots(len(found), 1 + len(WAYS), squeeze=False, width_ratios=[1.4, *[1] * len(WAYS)])
    for (name, curves), (panel, *pictures) in zip(found.items(), rows, strict=True):
        for way, curve in curves.items():
            panel.plot(*zip(*curve, strict=True), marker=".", label=way)
        panel.set(xscale="log", xlabel="CPU seconds of training", ylabel=f"{name}, test {SETS[name][2]}")
        panel.legend(fontsize=8)
        for picture, (way, model) in zip(pictures, models[name].items(), strict=True):
            torch.manual_seed(0)
            picture.set(xticks=[], yticks=[], aspect="equal")
            picture.set_title(way, fontsize=9)
            if model.levels is None:
                picture.plot(*model.eval().sample(3000).T, ",", color="black")
                picture.set(xlim=(-4, 4), ylim=(-4, 4))
            else:
                digits = F.pad(model.eval().sample(36).view(6, 6, 8, 8), (0, 1, 0, 1), value=model.levels - 1)
                tiles = digits.permute(0, 2, 1, 3).reshape(54, 54)
                picture.imshow(tiles, cmap="gray", vmin=0, vmax=model.levels - 1)
    save_figure(figure, path)


def main(folder: Path, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Everything; returns the curves by set and way."""
    torch.set_num_threads(1)
    found: dict[str, dict[str, Curve]] = {}
    models: dict[str, dict[str, CNF]] = {}
    for name, (load, batch, _) in SETS.items():
        make, train, test = load()
        trained = {way: run(make, way, (train, test), batch, seconds[name]) for way in WAYS}
        models[name] = {way: model for way, (model, _) in trained.items()}
        found[name] = {way: curve for way, (_, curve) in trained.items()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flow_matching.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "flow_matching.md").write_text(table(found))
    draw(found, models, folder / "flow_matching.png")
    return found


if __name__ == "__main__":
    budgets = [float(argument) for argument in sys.argv[2:]] or [12.0, 16.0]
    main(Path(sys.argv[1]), dict(zip(SETS, budgets, strict=True)))
