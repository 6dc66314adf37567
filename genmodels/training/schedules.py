"""Learning-rate schedules, one factor per optimiser step (counted from 0) that multiplies the optimiser's lr.

All raise UserError, by the key of the config, for a number that is out of its range.
"""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from genmodels.errors import UserError


def constant(optimizer: Optimizer) -> LambdaLR:
    """The optimiser's own learning rate throughout."""
    return LambdaLR(optimizer, lambda step: 1.0)


def linear_warmup(optimizer: Optimizer, warmup_steps: int) -> LambdaLR:
    """From lr / warmup_steps in the first step to lr in step `warmup_steps`, then constant."""
    _not_negative("scheduler.warmup_steps", warmup_steps)
    return LambdaLR(optimizer, lambda step: _warmup(step, warmup_steps))


def linear(optimizer: Optimizer, total_steps: int, decay_start: int = 0) -> LambdaLR:
    """lr for the first `decay_start` steps, from there in equal steps down to nought after `total_steps` in all."""
    _not_negative("scheduler.decay_start", decay_start)
    _ends_after("decay_start", decay_start, total_steps)
    return LambdaLR(optimizer, lambda step: min(1.0, max(0.0, (total_steps - step) / (total_steps - decay_start))))


def exponential(
    optimizer: Optimizer, rate: float, warmup_steps: int = 0, decay_start: int = 0, floor: float = 0.0
) -> LambdaLR:
    """Warm-up, constant until step `decay_start`, then multiplied by `rate` every step, never below `floor`.

    Args:
        rate: factor per step, in (0, 1], e.g. 0.99995.
        warmup_steps: as in `linear_warmup`.
        decay_start: last step at the full learning rate.
        floor: lowest factor the decay reaches, as a fraction of lr.
    """
    _not_negative("scheduler.warmup_steps", warmup_steps)
    if not 0 < rate <= 1:
        raise UserError(f"scheduler.rate={rate} must lie in (0, 1]: it multiplies the learning rate every step.")

    def factor(step: int) -> float:
        decay = rate ** max(0, step - decay_start)
        return _warmup(step, warmup_steps) * max(floor, decay)

    return LambdaLR(optimizer, factor)


def cosine(optimizer: Optimizer, total_steps: int, warmup_steps: int = 0, final_fraction: float = 0.0) -> LambdaLR:
    """Warm-up, then half a cosine from lr down to `final_fraction` * lr at step `total_steps`, then constant.

    Loshchilov & Hutter 2017 (SGDR), equation 5, without restarts.
    """
    _not_negative("scheduler.warmup_steps", warmup_steps)
    _ends_after("warmup_steps", warmup_steps, total_steps)

    def factor(step: int) -> float:
        progress = min(1.0, max(0.0, (step - warmup_steps) / (total_steps - warmup_steps)))
        decay = final_fraction + (1 - final_fraction) * (1 + math.cos(math.pi * progress)) / 2
        return _warmup(step, warmup_steps) * decay

    return LambdaLR(optimizer, factor)


def noam(optimizer: Optimizer, warmup_steps: int) -> LambdaLR:
    """Warm-up to lr at the `warmup_steps`-th step, then lr * sqrt(`warmup_steps` / step).

    Vaswani et al. 2017, Equation 3, but for the unit: there lr = (width * warmup_steps)^-0.5, and in tensor2tensor ten
    times its learning_rate times that.
    """
    if warmup_steps < 1:
        raise UserError(f"scheduler.warmup_steps={warmup_steps} must be at least 1.")
    return LambdaLR(optimizer, lambda step: min((step + 1) / warmup_steps, (warmup_steps / (step + 1)) ** 0.5))


def iwae(optimizer: Optimizer, epoch_steps: int) -> LambdaLR:
    """Stages i = 0 .. 7 of 3^i epochs at 10^(-i / 7) of lr, rounded to hundredths; then at a tenth of it.

    The official code of Burda et al. 2016, with an lr of 1e-3; all stages together are 3280 epochs.

    Args:
        epoch_steps: optimiser steps of an epoch.
    """
    if epoch_steps < 1:
        raise UserError(f"scheduler.epoch_steps={epoch_steps} must be at least 1.")

    def factor(step: int) -> float:
        ended = sum(step >= epoch_steps * (3 ** (stage + 1) - 1) // 2 for stage in range(7))
        return round(10 ** (-ended / 7), 2)

    return LambdaLR(optimizer, factor)


def _warmup(step: int, warmup_steps: int) -> float:
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps > 0 else 1.0


def _not_negative(key: str, value: int) -> None:
    if value < 0:
        raise UserError(f"{key}={value} must not be negative.")


def _ends_after(key: str, value: int, total_steps: int) -> None:
    if total_steps <= value:
        raise UserError(
            f"scheduler.total_steps={total_steps} must be larger than scheduler.{key}={value}: set trainer.max_steps, "
            "which it follows, or scheduler.total_steps."
        )
