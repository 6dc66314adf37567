"""Tell a study how a trial is doing, and end the trial when the study has given it up."""

import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from genmodels.errors import Pruned
from genmodels.sweeps.study import Pruning, Study


class Reports(pl.Callback):
    """Reports the figure that selects weights after each validation; raises `Pruned` before the next step of training.

    Trials are compared at equal numbers of validations, so a batch size may be searched too. A trial that has had its
    last validation is complete: there is nothing to be saved any more.

    Args:
        folder: of the study; each process opens its own.
        number: of the trial.
        pruning: None: trials are never given up.
    """

    def __init__(self, folder: Path, number: int, pruning: Pruning | None) -> None:
        self._folder, self._number, self._pruning = folder, number, pruning
        self._validations = 0
        self._is_hopeless = False
        self._study: Study | None = None  # opened in the process that reports

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        value = float(trainer.callback_metrics[f"val/{pl_module.selection.name}"])
        is_hopeless = trainer.is_global_zero and self._report(value, pl_module.selection.direction)
        if trainer.world_size > 1:
            is_hopeless = trainer.strategy.reduce_boolean_decision(is_hopeless, all=False)
        self._is_hopeless = is_hopeless
        self._validations += 1

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self._is_hopeless:
            raise Pruned(f"given up at step {pl_module.steps_taken}, after validation {self._validations}")

    def state_dict(self) -> dict[str, Any]:
        return {"validations": self._validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._validations = state_dict["validations"]

    def _report(self, value: float, direction: Any) -> bool:
        self._study = self._study or Study(self._folder, direction, self._pruning)
        trial = self._study.trial(self._number)
        with warnings.catch_warnings():
            # A resumed trial repeats the validations after its last checkpoint, with the same outcome.
            warnings.filterwarnings("ignore", message=".*already reported.*")
            trial.report(value, self._validations)
        return self._pruning is not None and trial.should_prune()
