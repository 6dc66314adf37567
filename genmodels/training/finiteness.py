"""Whether a run can go on from the state it is in, and what to tell when it cannot."""

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from genmodels.commands import assigned, command
from genmodels.training.sharding import local


def broken_part(trainer: pl.Trainer, pl_module: Any) -> str | None:
    """The weight or running statistic that is not finite, in words; None where all are. No further step mends it.

    Infinity in a buffer may be meant (a mask), NaN is not. Several ranks, which may hold different shares of the
    weights, have to ask together.
    """
    broken = next((what for what, value, is_sound in _state(pl_module) if not is_sound(local(value)).all()), None)
    if trainer.world_size > 1 and trainer.strategy.reduce_boolean_decision(broken is not None, all=False):
        return broken or "a weight on another rank"
    return broken


def _state(pl_module: Any) -> Iterator[tuple[str, Tensor, Any]]:
    parameters = dict(pl_module.named_parameters())
    for name, parameter in parameters.items():
        yield f"the parameter {name}", parameter, torch.isfinite
    for name, entry in pl_module.state_dict().items():
        if name not in parameters and isinstance(entry, Tensor) and entry.is_floating_point():
            yield f"the buffer {name}", entry, _is_number


def _is_number(value: Tensor) -> Tensor:
    return ~value.isnan()


def explain_stop(trainer: pl.Trainer, pl_module: Any, reason: str, checkpoint: Any, may_skip: bool) -> str:
    """Two sentences: why training stopped, and how it can go on.

    Args:
        checkpoint: the last good one, None if there is none.
        may_skip: whether leaving such steps out could have helped.
    """
    remedy = ", ".join([f"a smaller optimizer.lr (now {_rates(trainer)})", f"{_clipping(pl_module)}"])
    remedy += " or callbacks.nan_guard.policy=skip" if may_skip else ""
    if checkpoint is None:
        way_on = f"There is no checkpoint yet: start again with {remedy}."
    else:
        way_on = (
            f"The last good checkpoint is {checkpoint}: "
            f"`{command('train')} {assigned('resume', trainer.default_root_dir)}` goes on from it, with {remedy}."
        )
    return f"Training stopped {reason}. {way_on}"


def _rates(trainer: pl.Trainer) -> str:
    rates = dict.fromkeys(f"{group['lr']:.3g}" for o in trainer.optimizers for group in o.param_groups)
    return ", ".join(rates)


def _clipping(pl_module: Any) -> str:
    limit = pl_module.rules.gradient_clip_val
    if limit is None:
        return "trainer.gradient_clip_val=50"
    return f"a smaller trainer.gradient_clip_val (now {limit:g})"
