"""What a run logs, always against the number of optimiser steps taken."""

import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch.optim import Optimizer

from genmodels.training.position import is_mid_accumulation


def record(trainer: pl.Trainer, metrics: Mapping[str, float]) -> None:
    """Send `metrics` to every logger, and to other callbacks through `trainer.callback_metrics`.

    Lightning's own `self.log` counts steps one behind and writes a step's row after the checkpoint of that step; a
    resumed run would miss the row.
    """
    trainer.callback_metrics.update({name: torch.tensor(value) for name, value in metrics.items()})
    for logger in trainer.loggers:
        logger.log_metrics({**metrics, "epoch": trainer.current_epoch}, step=trainer.global_step)


class StepMetrics(pl.Callback):
    """Logs the module's `step_metrics`, `learning_rate` and `images_per_second`.

    Every `trainer.log_every_n_steps` optimiser steps: metrics of that step, averaged over the ranks, and images (or
    vectors) per second over all ranks since the last row, validation left out.
    """

    def __init__(self) -> None:
        self._learning_rate = 0.0
        self._samples = 0
        self._since = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._restart_clock()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._restart_clock()

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: Any, optimizer: Optimizer) -> None:
        self._learning_rate = optimizer.param_groups[0]["lr"]

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._samples += len(batch[0]) * trainer.world_size
        step = trainer.global_step
        if is_mid_accumulation(trainer) or step % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        names = list(pl_module.step_metrics)
        values = torch.stack([pl_module.step_metrics[n].detach().float().to(pl_module.device) for n in names])
        if trainer.world_size > 1:
            values = trainer.strategy.reduce(values, reduce_op="mean")
        metrics = dict(zip(names, values.tolist(), strict=True))
        metrics["learning_rate"] = self._learning_rate
        metrics["images_per_second"] = self._samples / (time.perf_counter() - self._since)
        record(trainer, metrics)
        self._restart_clock()

    def _restart_clock(self) -> None:
        self._samples = 0
        self._since = time.perf_counter()
