"""Stop, or step over, a training step whose loss or gradient is not finite."""

import math
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer

from genmodels.errors import UserError
from genmodels.training.callbacks.checkpoints import last_checkpoint
from genmodels.training.finiteness import broken_part, explain_stop
from genmodels.training.modules.training_module import parameters_of


class NaNGuard(pl.Callback):
    """Checks loss and gradient norm before every step of every optimiser, and logs the norm as `train/grad_norm`.

    Of several optimisers each has its own, `train/grad_norm/<part>`.

    Args:
        policy: `stop` ends the run with a UserError that names the step, the quantity and the last good checkpoint;
            `skip` leaves the weights as they are, goes on with the next batch, and logs the number of such steps as
            `train/skipped_steps`; where the weights themselves are not finite, no batch would help, and it stops too.
        max_consecutive_skips: so many in a row stop the run.

    Under several ranks all decide alike.

    Raises:
        UserError: the policy is neither of the two, or training is stopped.
    """

    def __init__(self, policy: Literal["stop", "skip"] = "stop", max_consecutive_skips: int = 100) -> None:
        if policy not in ("stop", "skip"):
            raise UserError(f"callbacks.nan_guard.policy={policy} must be stop or skip.")
        self.policy = policy
        self.max_consecutive_skips = max_consecutive_skips
        self.skipped = 0
        self._in_a_row = 0
        self._loss = torch.tensor(0.0)

    def on_before_backward(self, trainer: pl.Trainer, pl_module: Any, loss: Tensor) -> None:
        self._loss = loss.detach()

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: Any, optimizer: Optimizer) -> None:
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters_of(optimizer) if p.grad is not None])
        pl_module.step_metrics[f"train/grad_norm{pl_module.suffix_of(optimizer)}"] = norm
        # As numbers: four operations on tensors of one element cost more than the two copies.
        is_finite = math.isfinite(self._loss.item()) and math.isfinite(norm.item())
        if trainer.world_size > 1:
            is_finite = trainer.strategy.reduce_boolean_decision(is_finite, all=True)
        if is_finite:
            self._in_a_row = 0
        else:
            broken = broken_part(trainer, pl_module)
            if broken or self.policy == "stop" or self._in_a_row + 1 >= self.max_consecutive_skips:
                raise UserError(self._explain(trainer, pl_module, broken))
            self._skip(optimizer)
        if self.policy == "skip":
            pl_module.step_metrics["train/skipped_steps"] = torch.tensor(float(self.skipped))

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped, "in_a_row": self._in_a_row}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped = state_dict["skipped"]
        self._in_a_row = state_dict["in_a_row"]

    def _skip(self, optimizer: Optimizer) -> None:
        self.skipped += 1
        self._in_a_row += 1
        for parameter in parameters_of(optimizer):  # optimisers pass over parameters without a gradient
            parameter.grad = None

    def _explain(self, trainer: pl.Trainer, pl_module: Any, broken: str | None) -> str:
        quantity = broken or _not_finite(self._loss, pl_module)
        after = f" after {self._in_a_row} steps skipped in a row" if self._in_a_row else ""
        reason = f"at step {pl_module.steps_taken + 1}{after}: {quantity} is not finite"
        may_skip = self.policy == "stop" and broken is None
        return explain_stop(trainer, pl_module, reason, last_checkpoint(trainer), may_skip)


def _not_finite(loss: Tensor, pl_module: Any) -> str:
    if not bool(loss.isfinite()):
        return f"the loss ({loss.item()})"
    for name, parameter in pl_module.named_parameters():
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            return f"the gradient of {name}"
    return "the global gradient norm (on this rank every gradient is finite)"
