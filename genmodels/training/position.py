"""Where in a fit the current training batch stands, asked in `on_train_batch_end`."""

import pytorch_lightning as pl


def is_last_batch_of_epoch(trainer: pl.Trainer) -> bool:
    """Whether the current training batch is the last of its epoch."""
    return trainer.fit_loop.batch_idx + 1 >= trainer.num_training_batches


def is_mid_accumulation(trainer: pl.Trainer) -> bool:
    """Whether gradients wait for further batches: a checkpoint taken now would lose them."""
    full = (trainer.fit_loop.batch_idx + 1) % trainer.accumulate_grad_batches == 0
    return not full and not is_last_batch_of_epoch(trainer)


def is_last_step(trainer: pl.Trainer) -> bool:
    """Whether `max_steps` or `max_epochs` ends the fit with this batch."""
    if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
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
