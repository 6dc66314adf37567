"""Ctrl-C, SIGTERM, SIGHUP and SLURM end a run at the next moment from which it can be resumed exactly."""

import os
import signal
import stat
import threading
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from genmodels import slurm
from genmodels.commands import assigned, command
from genmodels.errors import Interrupted, Requeued
from genmodels.training.position import is_mid_accumulation, module_of, validation_follows

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupt(pl.Callback):
    """On the first signal finishes the current step or validation batch and raises `Interrupted`.

    `Checkpoints` saves last.ckpt on that exception. A second signal does what it would do without this callback.
    Lightning's own handling ends the process at once on Ctrl-C, without a checkpoint. SIGHUP says that the terminal was
    closed; under nohup it stays ignored. In a job of SLURM there is also SIGUSR1, on which it raises `Requeued`.
    """

    def __init__(self) -> None:
        self._is_requested = self._is_to_requeue = False
        self._previous: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._is_requested = self._is_to_requeue = False
        if threading.current_thread() is threading.main_thread():  # Python hands signals to no other
            wanted = [number for number in (*_SIGNALS, *slurm.signals()) if not _is_ignored(number)]
            self._previous = {number: signal.signal(number, self._request) for number in wanted}

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._restore()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        # The signal that has reached another rank may reach this one while the checkpoint is written.
        if self._is_requested or not isinstance(exception, Interrupted):
            self._restore()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not is_mid_accumulation(trainer) and not validation_follows(trainer):
            self._stop_if_requested(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not is_mid_accumulation(trainer):
            self._stop_if_requested(trainer)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *args: Any, **kwargs: Any
    ) -> None:
        # Ranks may hold unequal numbers of validation batches, so they cannot agree in each.
        if trainer.world_size == 1 and not is_mid_accumulation(trainer):
            self._stop_if_requested(trainer)

    def _stop_if_requested(self, trainer: pl.Trainer) -> None:
        requested = self._is_requested
        if trainer.world_size > 1:
            requested = trainer.strategy.reduce_boolean_decision(requested, all=False)
        if not requested:
            return
        is_to_requeue = self._is_to_requeue
        step, folder = module_of(trainer).steps_taken, trainer.default_root_dir
        if trainer.world_size > 1:
            is_to_requeue = trainer.strategy.reduce_boolean_decision(is_to_requeue, all=False)
            folder = trainer.strategy.broadcast(folder)  # that of rank 0 alone is in use
        if is_to_requeue:
            raise Requeued(f"Interrupted at step {step}; SLURM starts the job again, which goes on with {folder}")
        raise Interrupted(f"Interrupted at step {step}; resume with: {command('train')} {assigned('resume', folder)}")

    def _request(self, number: int, frame: FrameType | None) -> None:
        self._is_requested = True
        self._is_to_requeue = number == slurm.REQUEUE
        self._restore()
        if signal.Signals(number).name == "SIGHUP":
            _let_go_of_the_terminal()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}


def _is_ignored(number: signal.Signals) -> bool:
    """Whether whoever started the process has said so by nohup; Ctrl-C is also ignored in a script's background."""
    return number.name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN


def _let_go_of_the_terminal() -> None:
    """Writing to one that is gone fails, which would come before the checkpoint."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        if stat.S_ISCHR(os.fstat(stream).st_mode):
            os.dup2(nowhere, stream)
    os.close(nowhere)
