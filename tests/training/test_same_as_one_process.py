"""Two processes take the steps of one on the same global batch, whether they hold all of the weights or half of each.

Without noise, which each rank has of its own, and in float64. Started by fork, which takes half a second.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from image_vae import LinearImageNetworks
from pytorch_lightning.strategies.launchers.multiprocessing import _MultiProcessingLauncher
from torch import Tensor, nn
from training_toys import standard_callbacks, trainer

from genmodels.bijections import Compose, Coupling, Squeezed, TanhAffine
from genmodels.data import DataModule
from genmodels.distributions import Categorical, Dequantization, StandardNormal
from genmodels.models import GPT, VAE, Diagonal, Glow, Model
from genmodels.objectives import ELBO, NegativeLogLikelihood
from genmodels.training import GlowAdamax, LikelihoodModule, Samples, read_checkpoint
from genmodels.training.sharding import Sharded

SHAPE, LEVELS = (1, 8, 8), 17


class Forking(_MultiProcessingLauncher):
    """Leaves the weights in the processes, where they are in shares; the test reads them from the checkpoint."""

    def _recover_results_in_main_process(self, worker_output: Any, trainer: pl.Trainer) -> None:
        trainer.state = worker_output.trainer_state


class ForkedSharded(Sharded):
    def _configure_launcher(self) -> None:
        self._launcher = Forking(self, start_method="fork")


class Middle(Dequantization):
    """Every pixel is the middle of its cell."""

    def forward(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        return self.centre(x, dtype), torch.zeros(len(x), dtype=dtype)


class Still(Diagonal):
    """Every draw is the mean."""

    def sample(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.centre(features)
        return mean, self(mean, features)


class Pointwise(nn.Conv2d):
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(x)


def flow() -> Model:
    """With layers that wait for data, kernels of an odd number of rows, and parameters that are a single number."""
    model = Glow(SHAPE, LEVELS, num_scales=2, num_steps=2, width=7)
    model.dequantization = Middle(LEVELS)
    model.bijection = Compose([model.bijection, Squeezed(Coupling(Pointwise(2, 4, 1), TanhAffine(0.5)))])
    return model


def autoregressive() -> Model:
    return GPT(SHAPE, Categorical(SHAPE, LEVELS), num_layers=2, width=8, num_heads=2)


def vae() -> Model:
    return VAE(SHAPE, LEVELS, LinearImageNetworks(), Still(3), StandardNormal([3]), Categorical(SHAPE, LEVELS))


STRATEGIES: dict[str, Callable[[], dict[str, Any]]] = {
    "one": dict,
    "ddp": lambda: {"devices": 2, "strategy": "ddp_fork"},
    "fsdp": lambda: {"devices": 2, "strategy": ForkedSharded()},
}


def train(folder: Path, make: Callable[[], Model], strategy: str, resume: bool = False, **options: Any) -> None:
    """Four batches of 100 an epoch, each rank with half of every one; rank 0 draws after a validation."""
    torch.manual_seed(0)
    model = make().double()
    objective, optimizer = NegativeLogLikelihood(), GlowAdamax
    if make is vae:
        objective, optimizer = ELBO(), torch.optim.AdamW
    module = LikelihoodModule(model, objective, partial(optimizer, lr=0.01))
    data = DataModule("digits", SHAPE, LEVELS, 10, root="unused", batch_size=100, validation=300)
    options = {"limit_train_batches": 4, "limit_val_batches": 1, **STRATEGIES[strategy](), **options}
    last = folder / "checkpoints" / "last.ckpt" if resume else None
    callbacks = [*standard_callbacks(), Samples(4, gif=False)]
    trainer(folder, callbacks, **options).fit(module, datamodule=data, ckpt_path=last, weights_only=True)


def assert_same(found: Path, expected: Path) -> None:
    """The whole of both checkpoints: names, weights, averages, what the optimiser keeps."""
    checkpoints = [read_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (found, expected)]
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(checkpoints[0][part], checkpoints[1][part], rtol=1e-9, atol=1e-11)
    averages = [checkpoint["callbacks"]["EMA"]["average"] for checkpoint in checkpoints]
    torch.testing.assert_close(*averages, rtol=1e-9, atol=1e-11)
    raw = checkpoints[0]["state_dict"]
    moved = [(raw[f"model.{name}"].double() - value.double()).abs().max() for name, value in averages[0].items()]
    assert max(moved) > 1e-3


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
@pytest.mark.parametrize("make", [flow, autoregressive, vae])
def test_two_processes_take_the_steps_of_one(make: Callable[[], Model], strategy: str, tmp_path: Path) -> None:
    rules: dict[str, Any] = {"max_steps": 3, "gradient_clip_val": 0.5}
    if make is autoregressive:
        rules |= {"gradient_clip_algorithm": "value", "gradient_clip_val": 0.001}
    if make is vae:
        rules |= {"accumulate_grad_batches": 2}
    for name in ("one", strategy):
        train(tmp_path / name, make, name, **rules)
    assert_same(tmp_path / strategy, tmp_path / "one")


@pytest.mark.parametrize(("before", "after"), [("one", "ddp"), ("ddp", "one"), ("one", "fsdp"), ("fsdp", "one")])
def test_a_run_goes_on_with_another_number_of_processes(before: str, after: str, tmp_path: Path) -> None:
    """From the middle of an epoch, in the same order."""
    train(tmp_path / "straight", flow, "one", max_steps=6)
    train(tmp_path / "moved", flow, before, max_steps=2)
    train(tmp_path / "moved", flow, after, resume=True, max_steps=6)
    assert_same(tmp_path / "moved", tmp_path / "straight")
