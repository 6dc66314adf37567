"""CPU seconds to draw four images from autoregressive models: naive, cached and by Jacobi iteration.

    python experiments/benchmarks/autoregressive_sampling.py [--models GatedPixelCNN GPT] [--sides 8 16 32] [--rounds 3]

One thread. All steps of the naive way cost the same, so of more than 64 only 32, evenly spread, are timed and the sum
is scaled up; the table says of how many. Parameters are random: the number of Jacobi passes, and with it their time,
is another for every trained model.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator

import torch
from rich.console import Console
from rich.table import Table

from genmodels import models
from genmodels.distributions import Categorical, LogisticMixture
from genmodels.networks.data_init import initialize

BATCH, LEVELS = 4, 17

Shape = tuple[int, int, int]
MODELS: dict[str, Callable[[Shape], models.AutoregressiveModel]] = {
    "GatedPixelCNN": lambda shape: models.GatedPixelCNN(shape, Categorical(shape, LEVELS), 7, 32, 3, output_width=64),
    "PixelCNN": lambda shape: models.PixelCNN(shape, Categorical(shape, LEVELS), 7, 32, 64),
    "PixelCNN++": lambda shape: models.PixelCNNPP(shape, LogisticMixture(shape, LEVELS, 5), 2, 40),
    "PixelSNAIL": lambda shape: models.PixelSNAIL(shape, LogisticMixture(shape, LEVELS, 5), 3, 2, 32),
    "PixelRNN row": lambda shape: models.PixelRNN(shape, Categorical(shape, LEVELS), "row", 3, 24, 48),
    "PixelRNN diagonal": lambda shape: models.PixelRNN(shape, Categorical(shape, LEVELS), "diagonal", 3, 24, 48),
    "GPT": lambda shape: models.GPT(shape, Categorical(shape, LEVELS), num_layers=8, width=64, num_heads=2),
    "ImageTransformer": lambda shape: models.ImageTransformer(shape, Categorical(shape, LEVELS), 4, 64, 256, 2),
    "ImageMADE": lambda shape: models.ImageMADE(shape, Categorical(shape, LEVELS), [500, 500], num_orders=1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--sides", nargs="+", type=int, default=[8, 16, 32])
    parser.add_argument("--rounds", type=int, default=3, help="the fastest counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    columns = (
        "model",
        "size",
        "naive",
        "steps\ntimed",
        "cached",
        "naive/\ncached",
        "Jacobi",
        "passes",
        "naive/\nJacobi",
    )
    table = Table(*columns, title=f"batch {BATCH}, CPU seconds of one thread, fastest of {options.rounds} rounds")
    for name in options.models:
        for side in options.sides:
            table.add_row(name, f"{side}x{side}", *_row(MODELS[name]((1, side, side)), options.rounds))
    Console(width=110).print(table)


def _row(model: models.AutoregressiveModel, rounds: int) -> list[str]:
    x = torch.randint(model.levels, (16, *model.shape))
    initialize(model, lambda: model.log_prob(x))
    noise = torch.rand(BATCH, model.likelihood.num_noises, *model.shape[1:])
    every = 1 if model.num_steps <= 64 else model.num_steps // 32
    timed = range(0, model.num_steps, every)
    passes: list[int] = []

    def counted(steps: Iterable[int]) -> Iterator[int]:
        passes.clear()
        for step in steps:
            passes.append(step)
            yield step

    ways: dict[str, Callable[[], torch.Tensor]] = {
        "naive": lambda: model.sample(BATCH, noise=noise, method="naive", track=lambda _: timed),
        "cached": lambda: model.sample(BATCH, noise=noise, method="cached"),
        "jacobi": lambda: model.sample(BATCH, noise=noise, method="jacobi", track=counted),
    }
    seconds = {name: min(times) for name, times in _in_turns(ways, rounds).items()}
    naive = seconds["naive"] * model.num_steps / len(timed)
    return [
        f"{naive:.3f}",
        f"{len(timed)} of {model.num_steps}",
        f"{seconds['cached']:.3f}",
        f"{naive / seconds['cached']:.1f}",
        f"{seconds['jacobi']:.3f}",
        str(len(passes)),
        f"{naive / seconds['jacobi']:.1f}",
    ]


def _in_turns(ways: dict[str, Callable[[], torch.Tensor]], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, draw in ways.items():
            start = time.process_time()
            draw()
            seconds[name].append(time.process_time() - start)
    return seconds


if __name__ == "__main__":
    main()
