"""CPU seconds of a training step of autoregressive models, against their bare convolutions and matrix products.

    python experiments/benchmarks/autoregressive_step.py [--models GatedPixelCNN PixelCNN++ GPT TARFlow] [--rounds 10]

A step is all that training does with a batch: bits/dim, backward, torch's fused Adam. One thread; each model and its
floor (`products.py`) take turns, so that a busy machine slows both.
"""

import argparse
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch
from products import BareProducts
from rich.console import Console
from rich.table import Table
from step_time import Competitor, in_turns

from genmodels import models
from genmodels.distributions import Categorical, LogisticMixture
from genmodels.networks.data_init import initialize
from genmodels.objectives import NegativeLogLikelihood

GRAY, COLOUR, BATCH = (1, 28, 28), (3, 32, 32), 8

MODELS: dict[str, Callable[[], models.AutoregressiveModel | models.TARFlow]] = {
    "GatedPixelCNN": lambda: models.GatedPixelCNN(GRAY, Categorical(GRAY, 2), 10, 128, 3, output_width=128),
    "PixelCNN++": lambda: models.PixelCNNPP(COLOUR, LogisticMixture(COLOUR, 256, 5), 2, 40),
    "GPT": lambda: models.GPT(GRAY, Categorical(GRAY, 2), num_layers=8, width=64, num_heads=2),
    "TARFlow": lambda: models.TARFlow(COLOUR, 256, width=128, num_blocks=4, num_layers=2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path, help="file for every single time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    seconds = {}
    table = Table("model", "parameters", *(f"{t}\n{s}" for t in ("step", "floor", "ratio") for s in ("median", "min")))
    for name in options.models:
        competitors = _competitors(MODELS[name]())
        seconds[name] = in_turns(competitors, "train", options.rounds)
        medians, minima = ([statistic(s) for s in seconds[name].values()] for statistic in (median, min))
        pairs = [*zip(medians, minima, strict=True), (medians[0] / medians[1], minima[0] / minima[1])]
        parameters = f"{competitors['step'].parameters:,}"
        table.add_row(name, parameters, *(f"{value:.3f}" for pair in pairs for value in pair))
    Console(width=110).print(table)
    if options.json:
        settings = {"batch": BATCH, "rounds": options.rounds, "torch": version("torch")}
        options.json.write_text(json.dumps({**settings, "seconds": seconds}, indent=2) + "\n")


def _competitors(model: models.AutoregressiveModel | models.TARFlow) -> dict[str, Competitor]:
    x = torch.randint(model.levels, (BATCH, *model.shape), dtype=torch.uint8)
    objective = NegativeLogLikelihood()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    initialize(model, lambda: model.log_prob(x))

    def step() -> None:
        optimizer.zero_grad()
        loss, _ = objective(model, x, None)
        loss.backward()
        optimizer.step()

    floor = BareProducts(lambda: model.train().log_prob(x))
    return {
        "step": Competitor(model, {"train": step}),
        "floor": Competitor(floor, {"train": floor.forward_and_backward}),
    }


if __name__ == "__main__":
    main()
