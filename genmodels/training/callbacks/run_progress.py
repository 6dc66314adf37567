"""How a run reports to the person who watches it."""

import time
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from torch import Tensor

from genmodels.progress_bar import clock
from genmodels.training.position import total_steps, validation_follows


class RunProgress(pl.Callback):
    """A bar in a terminal; elsewhere (files, CI) a line now and then, after every validation and at the end.

    Both show the step, the training metric, the latest validation metric, images/s and the time left.

    Args:
        every_seconds: time between two lines where there is no terminal.
        console: where to write; standard output by default.
    """

    def __init__(self, every_seconds: float = 10.0, console: Console | None = None) -> None:
        self.every_seconds = every_seconds
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._is_enabled = False
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._started = 0.0
        self._first_step = 0
        self._printed = 0.0
        self._shown_step = -1
        self._latest: dict[str, Tensor] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._started = self._printed = time.monotonic()
        self._first_step = pl_module.steps_taken
        self._is_enabled = trainer.is_global_zero
        end = total_steps(trainer)
        if self._is_enabled and end is not None and end < trainer.max_steps:  # easily overlooked where one was raised
            self._console.print(
                f"trainer.max_epochs={trainer.max_epochs} ends this run after {end} steps, before trainer.max_steps="
                f"{trainer.max_steps}"
            )
        if self._is_enabled and self._console.is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=self._console)
            self._task = self._bar.add_task("", total=total_steps(trainer), completed=self._first_step)
            self._bar.start()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        # Not every batch has every metric: a generator may take a step after several of its critic's only.
        self._latest |= pl_module.step_metrics
        if self._bar is not None:
            # Reading the metric waits for the device, so not in every step.
            if time.monotonic() - self._printed > 0.2:
                self._draw(trainer, pl_module)
        elif time.monotonic() - self._printed >= self.every_seconds and not validation_follows(trainer):
            self._print(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description="validating", completed=pl_module.steps_taken)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self._bar is not None:
            self._draw(trainer, pl_module)
        else:
            self._print(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self._bar is not None:
            self._draw(trainer, pl_module)
        elif pl_module.steps_taken != self._shown_step:
            self._print(trainer, pl_module)
        self._stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        self._stop()

    def _draw(self, trainer: pl.Trainer, pl_module: Any) -> None:
        assert self._bar is not None
        status = "  ".join(self._status(trainer, pl_module))
        self._bar.update(self._task, description=status, completed=pl_module.steps_taken)
        self._printed = time.monotonic()

    def _print(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if not self._is_enabled:
            return
        total = total_steps(trainer)
        step = f"step {pl_module.steps_taken}" + ("" if total is None else f"/{total}")
        self._console.print("  ".join([step, *self._status(trainer, pl_module)]))
        self._printed = time.monotonic()
        self._shown_step = pl_module.steps_taken

    def _status(self, trainer: pl.Trainer, pl_module: Any) -> list[str]:
        logged, latest = trainer.callback_metrics, self._latest
        parts = [
            f"{name} {float(latest[f'train/{name}']):.3f}" for name in pl_module.shown if f"train/{name}" in latest
        ]
        if pl_module.selection is not None and f"val/{pl_module.selection.name}" in logged:
            parts.append(f"val {float(logged[f'val/{pl_module.selection.name}']):.3f}")
        if "time/images_per_second" in logged:
            parts.append(f"{float(logged['time/images_per_second']):.0f} images/s")
        left = self._seconds_left(trainer, pl_module)
        return parts if left is None else [*parts, f"ETA {clock(left)}"]

    def _seconds_left(self, trainer: pl.Trainer, pl_module: Any) -> float | None:
        total, done = total_steps(trainer), pl_module.steps_taken - self._first_step
        if total is None or done == 0:
            return None
        return (time.monotonic() - self._started) / done * (total - pl_module.steps_taken)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
