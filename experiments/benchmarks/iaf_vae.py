"""CPU seconds of a training step of IAF-VAE at the paper's size, against its bare convolutions.

    python experiments/benchmarks/iaf_vae.py [--rounds 10] [--diagonal]

A step is all that training does with a batch of 8 images of 3x32x32: the ELBO with free bits, backward, Adamax. One
thread; the model and its floor (`products.py`: the same convolutions forward and backward, on weights that are ready)
take turns, so that a busy machine slows both.
"""

import argparse
from statistics import median

import torch
from products import BareProducts
from rich.console import Console
from rich.table import Table
from step_time import Competitor, in_turns

from genmodels.distributions import DiscretizedLogistic
from genmodels.models import IAFVAE
from genmodels.networks.data_init import initialize
from genmodels.objectives import ELBO

SHAPE, BATCH = (3, 32, 32), 8


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--diagonal", action="store_true", help="posteriors without a flow")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    competitors = _competitors(IAFVAE(SHAPE, DiscretizedLogistic(SHAPE, 256), iaf=not options.diagonal))
    seconds = in_turns(competitors, "train", options.rounds)
    table = Table("", "parameters", "median", "min", "median over\nfloor", "min over\nfloor")
    for name, times in seconds.items():
        ratios = (statistic(times) / statistic(seconds["floor"]) for statistic in (median, min))
        parameters = f"{competitors[name].parameters:,}"
        table.add_row(name, parameters, f"{median(times):.3f}", f"{min(times):.3f}", *(f"{r:.2f}" for r in ratios))
    Console().print(table)


def _competitors(model: IAFVAE) -> dict[str, Competitor]:
    x = torch.randint(256, (BATCH, *SHAPE), dtype=torch.uint8)
    objective = ELBO(free_bits=0.1)
    optimizer = torch.optim.Adamax(model.parameters(), lr=0.002, foreach=True)
    initialize(model, lambda: model.log_prob(x))

    def step() -> None:
        optimizer.zero_grad()
        loss, _ = objective(model, x, None)
        loss.backward()
        optimizer.step()

    floor = BareProducts(lambda: model.train().terms(x))
    return {
        "step": Competitor(model, {"train": step}),
        "floor": Competitor(floor, {"train": floor.forward_and_backward}),
    }


if __name__ == "__main__":
    main()
