"""What a run logs of its training steps."""

import time
from typing import Any

import pytorch_lightning as pl
import torch
from torch.optim import Optimizer

from genmodels.training.recording import record


class StepMetrics(pl.Callback):
    """Logs the module's `step_metrics`, `train/learning_rate` and `time/images_per_second`.

    Every `trainer.log_every_n_steps` steps of training: metrics of that step, averaged over the ranks, and images (or
    vectors) per second over all ranks since the last row, validation left out.
    """

    def __init__(self) -> None:
        self._learning_rates: dict[str, float] = {}
        self._steps_seen = 0
        self._samples = 0
        self._since = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._steps_seen = pl_module.steps_taken
        self._restart_clock()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._restart_clock()

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: Any, optimizer: Optimizer) -> None:
        self._learning_rates[f"train/learning_rate{pl_module.suffix_of(optimizer)}"] = optimizer.param_groups[0]["lr"]

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._samples += len(batch[0]) * trainer.world_size
        step, before = pl_module.steps_taken, self._steps_seen
        self._steps_seen = step
        if step == before or step % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        names = list(pl_module.step_metrics)
        values = torch.stack([pl_module.step_metrics[n].detach().float().to(pl_module.device) for n in names])
        if trainer.world_size > 1:
            values = trainer.strategy.reduce(values, reduce_op="mean")
        metrics = dict(zip(names, values.tolist(), strict=True))
        metrics.update(self._learning_rates)
        metrics["time/images_per_second"] = self._samples / (time.perf_counter() - self._since)
        record(trainer, metrics)
        self._restart_clock()

    def _restart_clock(self) -> None:
        self._samples = 0
        self._since = time.perf_counter()
