"""How figures of a run reach its loggers."""

from collections.abc import Mapping

import pytorch_lightning as pl
import torch

from genmodels.training.position import module_of


def record(trainer: pl.Trainer, metrics: Mapping[str, float]) -> None:
    """Send `metrics` to every logger, and to other callbacks through `trainer.callback_metrics`.

    Lightning's own `self.log` counts steps one behind and writes a step's row after the checkpoint of that step; a
    resumed run would miss the row.
    """
    trainer.callback_metrics.update({name: torch.tensor(value) for name, value in metrics.items()})
    for logger in trainer.loggers:
        logger.log_metrics({**metrics, "epoch": trainer.current_epoch}, step=module_of(trainer).steps_taken)
