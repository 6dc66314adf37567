"""Exact resumption: a stopped and resumed run takes the steps that an uninterrupted one would have taken.

Lightning restores weights, optimiser, schedule and counters. Missing are the position in the epoch, which it counts
but does not seek to, and the rows logged after the checkpoint, which would appear twice. Random states need no
saving: order, augmentation and noise are functions of (seed, epoch, batch, rank).
"""

from typing import Any

import pytorch_lightning as pl

from genmodels.training.callbacks.final_validation import FinalValidation
from genmodels.training.position import is_last_batch_of_epoch
from genmodels.training.run_logger import loggers_of

_EPOCHS = "epoch_progress"
_VALIDATION = "epoch_loop.val_loop.batch_progress"
_TRAINING = "epoch_loop.batch_progress"


class Resume(pl.Callback):
    """Seeks the training loader to where the checkpoint was taken and rewinds metrics.csv to that moment.

    The training loader offers `sampler.skip`: the number of batches that its next iteration leaves out.
    """

    def __init__(self) -> None:
        self._batches_seen = 0

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["metrics_size"] = max((log.size() for log in loggers_of(trainer)), default=0)
        loops = checkpoint["loops"]["fit_loop"]
        if trainer.validating and not _is_complete(trainer, loops[_VALIDATION]):
            loops[_VALIDATION] = _about_to_validate(loops[_VALIDATION])
        elif trainer.validating and is_last_batch_of_epoch(trainer) and _is_extra_validation(trainer):
            _end_epoch(loops[_EPOCHS])

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # `processed` is up to date in every hook that saves; `completed` lags by one in on_train_batch_end.
        self._batches_seen = checkpoint["loops"]["fit_loop"][_TRAINING]["total"]["processed"]
        for log in loggers_of(trainer):
            log.rewind(checkpoint["metrics_size"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._batches_seen:
            loader: Any = trainer.train_dataloader
            loader.sampler.skip = self._batches_seen % int(trainer.num_training_batches)
            self._batches_seen = 0

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Undo the mark of `_about_to_validate`, or later checkpoints would carry it on.
        total: Any = trainer.fit_loop.epoch_loop.val_loop.batch_progress.total
        total.ready = total.started = total.processed


def _is_complete(trainer: pl.Trainer, progress: dict[str, Any]) -> bool:
    return progress["current"]["completed"] >= sum(trainer.num_val_batches)


def _is_extra_validation(trainer: pl.Trainer) -> bool:
    callbacks: Any = trainer.callbacks  # type: ignore[attr-defined]
    return any(callback.is_extra for callback in callbacks if isinstance(callback, FinalValidation))


def _end_epoch(progress: dict[str, Any]) -> None:
    """Counters of an epoch that is over.

    Lightning counts it after the last validation. Resumed from before, it would train on a batch more where this
    validation was not due but for the end of the fit.
    """
    for counts in (progress["total"], progress["current"]):
        counts["processed"] = counts["started"]


def _about_to_validate(progress: dict[str, Any]) -> dict[str, Any]:
    """Counters that make Lightning begin with the whole validation: one batch started, none of this round done."""
    done = progress["total"]["processed"] - progress["current"]["processed"]
    counts = {"processed": done, "completed": done, "ready": done + 1, "started": done + 1}
    nothing = dict.fromkeys(counts, 0)
    return {**progress, "total": counts, "current": nothing, "is_last_batch": False}
