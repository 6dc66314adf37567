"""Keep run.json true while a run goes on."""

import time
from contextlib import suppress
from typing import Any

import pytorch_lightning as pl

from genmodels.errors import UserError
from genmodels.runs.folder import RunFolder
from genmodels.training.position import batches_seen, module_of


class RunRecord(pl.Callback):
    """Writes steps, wall time and images/s to run.json at every validation and at the end, however that comes.

    The wall time is saved with the checkpoints, so that a resumed run counts on from where it resumes: what a killed
    process did after its last checkpoint is lost to the weights and to the count alike.

    Args:
        folder: of the run.
        batch_size: images (or vectors) of a batch, over all devices.
    """

    def __init__(self, folder: RunFolder, batch_size: int) -> None:
        self._folder = folder
        self._batch_size = batch_size
        self._before = 0.0
        self._started: float | None = None

    @property
    def seconds(self) -> float:
        """Wall time of the fit so far, earlier parts included."""
        return self._before + (time.monotonic() - self._started if self._started is not None else 0.0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        with suppress(OSError, UserError):  # a full disk may be the very reason
            self._write(trainer)

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = state_dict["seconds"]

    def _write(self, trainer: pl.Trainer) -> None:
        if not trainer.is_global_zero or self._started is None:
            return
        batches, seconds = batches_seen(trainer), self.seconds
        self._folder.update_record(
            steps=module_of(trainer).steps_taken,
            epochs=batches // int(trainer.num_training_batches),  # Lightning's count lags where a run was resumed
            wall_time_seconds=round(seconds, 3),
            images_per_second=round(batches * self._batch_size / seconds, 2),
        )
