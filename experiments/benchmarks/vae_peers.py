"""CPU seconds of training and scoring variational autoencoders: genmodels and pythae.

    python experiments/benchmarks/vae_peers.py [--cases step training iwae vamp nll] [--rounds 20]

The networks are pythae's own, 784-512-16 and back with ReLU, under Bernoulli pixels, on images of noise; both sides
have as many parameters, but for 784 biases that pythae's VampPrior adds to all pseudo-inputs alike. genmodels trains
with fused Adam, its default, and pythae with Adam as its trainer makes it; "pythae, fused" is pythae with genmodels'
Adam. One thread, in turns, each round beginning with another competitor.

    step      a batch's loss, backward and Adam
    training  a step as a user has it, from `python train.py` or pythae's trainer: with loading, logging and checks
    iwae      a step of the bound of 50 draws
    vamp      a step with a VampPrior of 500 pseudo-inputs
    nll       log p of 10 images from 500 draws each

`floor` is the matrix products of genmodels' forward pass, replayed forward and backward (`products.py`).
"""

import genmodels  # noqa: F401  # isort: skip  # before anything that imports torchvision

import argparse
import contextlib
import io
import json
import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from products import BareProducts
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from genmodels.config.compose import compose
from genmodels.data import BatchLoader, EpochSampler, Examples
from genmodels.distributions import Base, Bernoulli, StandardNormal
from genmodels.evaluation.metrics.likelihood import log_likelihoods
from genmodels.models import VAE, Diagonal, MLPNetworks, VampPrior
from genmodels.objectives import ELBO, IWAE, Loss
from genmodels.runs.fit import Parts, build_parts, fit

SHAPE, LATENTS, WIDTH, BATCH = (1, 28, 28), 16, 512, 100
DRAWS_IN_TRAINING, PSEUDO_INPUTS, IMAGES_SCORED, DRAWS_IN_SCORING = 50, 500, 10, 500
STEPS = 10  # in a round of `step` and of `vamp`
UNTIMED, TIMED = 20, 100  # steps in a round of `training`


class Competitor(NamedTuple):
    """A model, and one round of what is timed, which gives the CPU seconds of a step."""

    model: nn.Module
    seconds: Callable[[], float]


def step() -> dict[str, Competitor]:
    from pythae import models

    return _steps(ELBO(), _vae(), lambda: models.VAE(models.VAEConfig(**_pythae_sizes())), STEPS)


def iwae() -> dict[str, Competitor]:
    from pythae import models

    sizes = {**_pythae_sizes(), "number_samples": DRAWS_IN_TRAINING}
    return _steps(IWAE(DRAWS_IN_TRAINING), _vae(), lambda: models.IWAE(models.IWAEConfig(**sizes)), 1)


def vamp() -> dict[str, Competitor]:
    from pythae import models

    sizes = {**_pythae_sizes(), "number_components": PSEUDO_INPUTS}
    ours = _vae(VampPrior((LATENTS,), SHAPE, 2, PSEUDO_INPUTS))
    return _steps(ELBO(), ours, lambda: models.VAMP(models.VAMPConfig(**sizes)), STEPS)


def nll() -> dict[str, Competitor]:
    from pythae import models

    x = _noise(IMAGES_SCORED)
    ours, peer = _vae(), models.VAE(models.VAEConfig(**_pythae_sizes())).eval()

    @torch.no_grad()
    def get_nll() -> None:
        peer.get_nll(x.float(), DRAWS_IN_SCORING, BATCH)

    def score() -> None:
        log_likelihoods(ours, [(x, None)], DRAWS_IN_SCORING, rows=BATCH)

    return {"genmodels": _timed(ours, score), "pythae": _timed(peer, get_nll)}


def training() -> dict[str, Competitor]:
    from pythae import models

    peer = models.VAE(models.VAEConfig(**_pythae_sizes()))
    return {
        "genmodels": Competitor(_vae(), _fit_ours),
        "pythae": Competitor(peer, lambda: _fit_pythae(peer)),
    }


CASES = {case.__name__: case for case in (step, training, iwae, vamp, nll)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path, help="file for every single time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    logging.disable(logging.WARNING)
    console, times = Console(width=110), {}
    for name in options.cases:
        try:
            competitors = CASES[name]()
        except ModuleNotFoundError as error:
            raise SystemExit(f"{error}: the extra `benchmarks` installs it.") from error
        times[name] = _in_turns(competitors, options.rounds)
        console.print(_table(name, competitors, times[name]))
    if options.json:
        settings = {"rounds": options.rounds, "torch": version("torch"), "pythae": version("pythae")}
        options.json.write_text(json.dumps({**settings, "seconds": times}, indent=2) + "\n")


def _in_turns(competitors: Mapping[str, Competitor], rounds: int) -> dict[str, list[float]]:
    """`rounds` figures of each, after one round that does not count."""
    names = list(competitors)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(competitors[name].seconds())
    return {name: times[1:] for name, times in seconds.items()}


def _table(case: str, competitors: Mapping[str, Competitor], seconds: Mapping[str, list[float]]) -> Table:
    table = Table()
    for column in (case, "parameters", "median", "min", "median over pythae", "min over pythae"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, times in seconds.items():
        parameters = sum(p.numel() for p in competitors[name].model.parameters())
        ratios = [f"{statistic(times) / statistic(seconds['pythae']):.2f}" for statistic in (median, min)]
        table.add_row(name, f"{parameters:,}", f"{median(times):.5f}", f"{min(times):.5f}", *ratios)
    return table


def _vae(prior: Base | None = None) -> VAE:
    networks = MLPNetworks(WIDTH, num_hidden=1, activation="relu")
    return VAE(SHAPE, 2, networks, Diagonal(LATENTS), prior or StandardNormal((LATENTS,)), Bernoulli(SHAPE, 2))


def _pythae_sizes() -> dict[str, Any]:
    return {"input_dim": SHAPE, "latent_dim": LATENTS, "reconstruction_loss": "bce"}


def _noise(n: int) -> Tensor:
    return torch.randint(2, (n, *SHAPE), dtype=torch.uint8)


def _timed(model: nn.Module, action: Callable[[], object], repeats: int = 1) -> Competitor:
    def seconds() -> float:
        start = time.process_time()
        for _ in range(repeats):
            action()
        return (time.process_time() - start) / repeats

    return Competitor(model, seconds)


def _steps(objective: Loss, ours: VAE, make_peer: Callable[[], nn.Module], repeats: int) -> dict[str, Competitor]:
    x = _noise(BATCH)
    pixels = {"data": x.float()}
    peer, fused = make_peer(), make_peer()
    floor = BareProducts(lambda: objective(ours, x, None))

    def competitor(model: nn.Module, loss: Callable[[], Tensor], fused: bool) -> Competitor:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=fused)

        def update() -> None:
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

        return _timed(model, update, repeats)

    return {
        "genmodels": competitor(ours, lambda: objective(ours, x, None)[0], fused=True),
        "pythae": competitor(peer, lambda: peer(pixels).loss, fused=False),
        "pythae, fused": competitor(fused, lambda: fused(pixels).loss, fused=True),
        "floor": _timed(floor, floor.forward_and_backward, repeats),
    }


class _Clock(pl.Callback):
    """The CPU seconds of a step, all between two batches' ends included."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def tick(self) -> None:
        self.ends.append(time.process_time())

    def on_train_batch_end(self, *args: Any) -> None:
        self.tick()

    @property
    def seconds(self) -> float:
        return (self.ends[-1] - self.ends[UNTIMED - 1]) / TIMED


def _fit_ours() -> float:
    overrides = [
        *("model=vae", f"model.posterior.num_latents={LATENTS}"),
        *(f"model.networks.width={WIDTH}", "model.networks.num_hidden=1", "model.networks.activation=relu"),
        *("data=binarized_mnist_static", f"data.batch_size={BATCH}", "optimizer.lr=1e-4"),
        *("trainer=cpu", f"trainer.max_steps={UNTIMED + TIMED}", "logger=csv"),
    ]
    config, clock = compose(overrides), _Clock()
    parts = build_parts(config)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        fit(config, folder, "", False, Parts(parts.module, _NoiseModule(), [*parts.callbacks, clock]))
    return clock.seconds


class _NoiseModule(pl.LightningDataModule):
    """Batches as the project's own data sets give them."""

    batch_size = BATCH

    def train_dataloader(self) -> BatchLoader:
        examples = Examples(_noise(BATCH * (UNTIMED + TIMED)))
        return BatchLoader(examples, EpochSampler(len(examples), BATCH, shuffle=True))

    def val_dataloader(self) -> BatchLoader:
        return BatchLoader(Examples(_noise(BATCH)), EpochSampler(BATCH, BATCH, shuffle=False))


def _fit_pythae(model: nn.Module) -> float:
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    clock = _Clock()

    class Ticking(TrainingCallback):
        def on_train_step_end(self, training_config: Any, **kwargs: Any) -> None:
            clock.tick()

    x = _noise(BATCH * (UNTIMED + TIMED)).float()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        settings = BaseTrainerConfig(
            output_dir=folder, num_epochs=1, per_device_train_batch_size=BATCH, learning_rate=1e-4, no_cuda=True
        )
        BaseTrainer(model, BaseDataset(x, torch.zeros(len(x))), None, settings, [Ticking()]).train()
    return clock.seconds


if __name__ == "__main__":
    main()
