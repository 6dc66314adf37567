"""How long a step of training takes: a few steps of the very model, timed as they will be taken."""

import tempfile
import time
from dataclasses import dataclass
from typing import Any, Literal

import pytorch_lightning as pl
import torch

from genmodels.errors import UserError
from genmodels.runs.fit import Parts, build_parts, fit
from genmodels.training.position import module_of

_FIRST = 2  # steps that are not timed: initialisation from data, and what libraries prepare at their first call
_LEAST = 3  # steps that are
_AT_EVERY_STEP = ("ema", "nan_guard", "step_metrics")  # callbacks whose time is the step's
_SHARE, _MOST = 0.1, 5.0  # of the training to come, and seconds, that the timing takes once it has the least


@dataclass(frozen=True)
class Timing:
    """What was found.

    Attributes:
        seconds_per_step: of training.
        steps: that were timed.
        recipe_steps: of the recipe at its own batch.
        seconds_per_example: of a validation.
    """

    seconds_per_step: float
    steps: int
    recipe_steps: float
    seconds_per_example: float


class Stopwatch(pl.Callback):
    """Times steps until it has enough of them, then the validation with which the fit ends.

    Args:
        clock: "cpu": seconds of this process on all cores; "wall" by the clock, what a GPU has still to do included.
        enough: seconds.
    """

    def __init__(self, clock: Literal["cpu", "wall"], enough: float) -> None:
        self._clock, self._enough = clock, enough
        self._begin: tuple[int, float] | None = None
        self.steps, self.seconds, self.batches = 0, 0.0, 0
        self.validation_seconds = 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        self.batches = int(trainer.num_training_batches)
        steps, now = module_of(trainer).steps_taken, self._now()
        if self._begin is None:
            if steps >= _FIRST:
                self._begin = (steps, now)
            return
        self.steps, self.seconds = steps - self._begin[0], now - self._begin[1]
        if self.steps >= _LEAST and self.seconds >= self._enough:
            trainer.should_stop = True

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.validation_seconds = -self._now()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.validation_seconds += self._now()

    def _now(self) -> float:
        if self._clock == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()


def time_steps(config: dict[str, Any], seconds: float, clock: Literal["cpu", "wall"], recipe: dict[str, Any]) -> Timing:
    """Train for a little in a folder that is removed.

    Args:
        config: of the cell, its batch the one that it will have.
        seconds: of training to come.
        clock: that counts them.
        recipe: max_steps, max_epochs and batch of the recipe.

    Raises:
        UserError: what is wrong with the config or the data, or there is no GPU to time.
    """
    if clock == "wall" and not torch.cuda.is_available():
        raise UserError("budget=gpu_hour needs a GPU, and this machine has none: choose budget=laptop or smoke")
    trainer = config["trainer"] | {
        "max_steps": -1,
        "max_epochs": -1,
        "limit_val_batches": 1,
        "check_val_every_n_epoch": None,
        "val_check_interval": 1_000_000_000,
        "enable_checkpointing": False,
    }
    logger = config["logger"] | {"mode": "disabled"}
    callbacks = {name: config["callbacks"].get(name) for name in _AT_EVERY_STEP}
    probe = {**config, "trainer": trainer, "callbacks": callbacks, "logger": logger}
    parts, watch = build_parts(probe), Stopwatch(clock, min(_MOST, _SHARE * seconds))
    with tempfile.TemporaryDirectory(prefix="genmodels-") as folder:
        fit(probe, folder, "timing", False, Parts(parts.module, parts.data, [*parts.callbacks, watch]))
    windows = watch.batches // (trainer.get("accumulate_grad_batches") or 1)
    return Timing(
        seconds_per_step=watch.seconds / watch.steps,
        steps=watch.steps,
        recipe_steps=_recipe_steps(parts, windows, recipe),
        seconds_per_example=watch.validation_seconds / parts.data.batch_size,
    )


def _recipe_steps(parts: Parts, windows: int, recipe: dict[str, Any]) -> float:
    """The first limit that the recipe reaches; its epochs have as many batches as its own batch size gives."""
    limits = [float(recipe["max_steps"])] if recipe["max_steps"] > 0 else []
    if recipe["max_epochs"] not in (None, -1):
        steps = parts.module.steps_in(int(recipe["max_epochs"] * windows * parts.data.batch_size / recipe["batch"]))
        limits += [] if steps is None else [float(steps)]
    if not limits:
        raise UserError("the recipe has no end: give it trainer.max_steps or trainer.max_epochs")
    return max(1.0, min(limits))
