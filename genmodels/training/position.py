"""Where in a fit the current training batch stands, asked in `on_train_batch_end`."""

import math
from typing import TYPE_CHECKING, Any, cast

import pytorch_lightning as pl

if TYPE_CHECKING:
    from genmodels.training.modules.training_module import TrainingModule


def module_of(trainer: pl.Trainer) -> "TrainingModule":
    """The module that `trainer` trains."""
    return cast("TrainingModule", trainer.lightning_module)


def total_steps(trainer: pl.Trainer) -> int | None:
    """Steps of training when the fit will be over, None if that cannot be told."""
    module, epochs = module_of(trainer), trainer.max_epochs
    limits = [trainer.max_steps] if trainer.max_steps > 0 else []
    if epochs not in (None, -1):
        steps = module.steps_in(epochs * _windows_of_an_epoch(trainer))
        limits += [] if steps is None else [steps]
    return min(limits, default=None)


def batches_seen(trainer: pl.Trainer) -> int:
    """Training batches of this rank so far, earlier parts of a resumed run included."""
    progress: Any = trainer.fit_loop.epoch_loop.batch_progress.total
    return progress.processed


def is_last_batch_of_epoch(trainer: pl.Trainer) -> bool:
    """Whether the current training batch is the last of its epoch."""
    return trainer.fit_loop.batch_idx + 1 >= trainer.num_training_batches


def is_mid_accumulation(trainer: pl.Trainer) -> bool:
    """Whether gradients wait for further batches: a checkpoint taken now would lose them."""
    window = module_of(trainer).rules.accumulate_grad_batches
    full = (trainer.fit_loop.batch_idx + 1) % window == 0
    return not full and not is_last_batch_of_epoch(trainer)


def window_size(trainer: pl.Trainer) -> int:
    """Batches whose gradients make up the current step: fewer where an epoch ends within a window."""
    window = module_of(trainer).rules.accumulate_grad_batches
    first = trainer.fit_loop.batch_idx // window * window
    return int(min(window, trainer.num_training_batches - first))


def is_last_step(trainer: pl.Trainer) -> bool:
    """Whether `max_steps` or `max_epochs` ends the fit with this batch."""
    module = module_of(trainer)
    if module.steps_taken >= trainer.max_steps > 0:
        return True
    return is_last_batch_of_epoch(trainer) and trainer.current_epoch + 1 == trainer.max_epochs


def validation_follows(trainer: pl.Trainer) -> bool:
    """Whether Lightning validates between this batch and the next.

    A checkpoint taken before it would resume after it, and the run would lack those figures.
    """
    every = trainer.check_val_every_n_epoch
    if not trainer.enable_validation or (every is not None and (trainer.current_epoch + 1) % every):
        return False
    if trainer.should_stop:
        return True
    loop = trainer.fit_loop
    done = (loop.total_batch_idx if every is None else loop.batch_idx) + 1
    return done % int(trainer.val_check_batch or 1) == 0


def windows_seen(trainer: pl.Trainer) -> int:
    """Windows of accumulated batches before the one that the current training batch belongs to."""
    window = module_of(trainer).rules.accumulate_grad_batches
    return trainer.current_epoch * _windows_of_an_epoch(trainer) + trainer.fit_loop.batch_idx // window


def _windows_of_an_epoch(trainer: pl.Trainer) -> int:
    return math.ceil(trainer.num_training_batches / module_of(trainer).rules.accumulate_grad_batches)
