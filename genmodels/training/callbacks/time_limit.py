"""An end to training after so many seconds."""

import time
from typing import Any, Literal

import pytorch_lightning as pl
import torch

from genmodels.errors import UserError
from genmodels.training.position import is_mid_accumulation


class TimeLimit(pl.Callback):
    """Ends a run in order once its training has taken so many seconds, validations and all.

    Lightning's `Timer` counts seconds of the clock, in which a busy machine does less. A resumed run has what is left.

    Args:
        seconds: of training.
        clock: "cpu": seconds of this process on all cores; "wall": of the clock, what a GPU has still to do included.

    State in a checkpoint: {"spent": seconds}.

    Raises:
        UserError: no seconds.
    """

    def __init__(self, seconds: float, clock: Literal["cpu", "wall"] = "wall") -> None:
        if seconds <= 0:
            raise UserError(f"callbacks.time_limit.seconds={seconds} must be positive")
        self._seconds, self._clock = seconds, clock
        self._spent = self._since = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = self._now()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = self._now()
        self._spent, self._since = self._spent + now - self._since, now
        is_over = self._spent >= self._seconds
        if trainer.world_size > 1:  # ranks end together
            is_over = trainer.strategy.reduce_boolean_decision(is_over, all=False)
        if is_over and not is_mid_accumulation(trainer):
            trainer.should_stop = True
            if trainer.check_val_every_n_epoch is not None:  # else Lightning would leave the last weights unvalidated
                trainer.check_val_every_n_epoch = 1

    def state_dict(self) -> dict[str, Any]:
        return {"spent": self._spent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._spent = float(state_dict["spent"])

    def _now(self) -> float:
        if self._clock == "cpu":
            return time.process_time()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()
