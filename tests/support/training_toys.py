"""A small density and a small run, for the tests of training and the scripts they start."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from genmodels.data import DataModule
from genmodels.models import Model
from genmodels.networks.data_init import DataInitialized
from genmodels.objectives import NegativeLogLikelihood
from genmodels.runs.fit import STEP_RULES
from genmodels.training import (
    EMA,
    AtomicCheckpointIO,
    Checkpoints,
    FinalValidation,
    Interrupt,
    Invertibility,
    LikelihoodModule,
    NaNGuard,
    Resume,
    StepMetrics,
    StepRules,
    build_loggers,
    quieten,
    schedules,
)


class DiagonalGaussian(DataInitialized, Model):
    """Independent normals over the (uniformly dequantised) data, initialised from the first batch.

    Training drops out means, so that a training step draws from torch's generator in two places.
    """

    def __init__(self, shape: tuple[int, ...], levels: int | None, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape, self.levels, self.exact = shape, levels, levels is None
        self.loc = nn.Parameter(torch.zeros(shape))
        self.log_scale = nn.Parameter(torch.zeros(shape))
        self.dropout = nn.Dropout(dropout)

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        v = x + torch.rand(x.shape, device=x.device) if self.levels else x
        if self.is_pending:
            self.loc.data.copy_(v.mean(0))
            self.log_scale.data.copy_((v.std(0) + 0.1).log())
            self._done()
        z = (v - self.dropout(self.loc)) / self.log_scale.exp()
        return (-0.5 * (z**2 + math.log(2 * math.pi)) - self.log_scale).flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        v = self.loc + temperature * self.log_scale.exp() * torch.randn(n, *self.shape)
        return v.floor().clamp(0, self.levels - 1).to(torch.uint8) if self.levels else v

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return (x + (0.5 if self.levels else 0.0) - self.loc) / self.log_scale.exp()

    @torch.no_grad()
    def inverse_error(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        v = self.encode(x) * self.log_scale.exp() + self.loc - (0.5 if self.levels else 0.0)
        return (v - x).abs().max()


def digits(batch_size: int = 256, **options: Any) -> DataModule:
    """Scikit-learn's digits, five training batches an epoch."""
    return DataModule(
        "digits", (1, 8, 8), 17, 10, root="unused", batch_size=batch_size, validation=300, shift=0.1, **options
    )


def module(model: Model, lr: float = 0.01, **options: Any) -> LikelihoodModule:
    return LikelihoodModule(
        model,
        NegativeLogLikelihood(),
        optimizer=partial(torch.optim.Adam, lr=lr, fused=True),
        scheduler=partial(schedules.linear_warmup, warmup_steps=7),
        **options,
    )


def standard_callbacks(every_n_steps: int = 1000, decay: float | None = 0.9) -> list[pl.Callback]:
    """Those of conf/callbacks/default.yaml, in its order, without pictures and progress."""
    return [
        EMA(decay),
        NaNGuard(),
        StepMetrics(),
        FinalValidation(),
        Invertibility(),
        Resume(),
        Interrupt(),
        Checkpoints(every_n_steps),
    ]


class SetRules(pl.Callback):
    """Gives the module the rules that the trainer was asked for."""

    def __init__(self, rules: StepRules) -> None:
        self.rules = rules

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        pl_module.rules = self.rules


def trainer(
    folder: Path, callbacks: list[pl.Callback], wandb: str = "disabled", plugins: Sequence[Any] = (), **options: Any
) -> pl.Trainer:
    """A Trainer as `genmodels.runs.fit` makes it from conf/trainer/cpu.yaml."""
    quieten()
    rules = StepRules(**{key: options.pop(key) for key in STEP_RULES if key in options})
    arguments = {"accelerator": "cpu", "devices": 1, "log_every_n_steps": 1, "num_sanity_val_steps": 0, **options}
    return pl.Trainer(
        accumulate_grad_batches=rules.accumulate_grad_batches,
        callbacks=[SetRules(rules), *callbacks],
        logger=build_loggers(folder, "abc123", {"lr": 0.01}, wandb),
        default_root_dir=folder,
        use_distributed_sampler=False,
        plugins=[AtomicCheckpointIO(), *plugins],
        enable_model_summary=False,
        enable_progress_bar=False,
        inference_mode=False,
        **arguments,
    )


def train(
    folder: Path,
    resume: bool = False,
    every_n_steps: int = 1000,
    extra: Sequence[pl.Callback] = (),
    **options: Any,
) -> pl.Trainer:
    """Train the Gaussian on digits, with dropout, averaging, warm-up and augmentation, or go on with that."""
    torch.manual_seed(0)
    fitted = trainer(folder, [*standard_callbacks(every_n_steps), *extra], **options)
    checkpoint = folder / "checkpoints" / "last.ckpt" if resume else None
    fitted.fit(
        module(DiagonalGaussian((1, 8, 8), 17, dropout=0.2)),
        datamodule=digits(),
        ckpt_path=checkpoint,
        weights_only=True,
    )
    return fitted
