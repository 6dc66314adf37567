"""When a run is saved: last.ckpt to go on from, best.ckpt to evaluate."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from genmodels.errors import Interrupted, UserError
from genmodels.files import remove_leftovers
from genmodels.training.checkpoint_io import link_atomically
from genmodels.training.finiteness import broken_part, explain_stop
from genmodels.training.position import is_last_step, is_mid_accumulation, validation_follows


def last_checkpoint(trainer: pl.Trainer) -> Path | None:
    """The newest checkpoint of the run that `trainer` trains, if it has one."""
    path = _folder(trainer) / "last.ckpt"
    return path if path.exists() else None


class Checkpoints(Checkpoint):
    """Writes checkpoints/last.ckpt and checkpoints/best.ckpt in `trainer.default_root_dir`.

    last.ckpt: after every `every_n_steps` steps of training, every validation, the last step and an interruption, but
    never while gradients are being accumulated or a validation is due, so that resuming from it is exact.
    best.ckpt: after a validation with the best `val/<name>` so far of the figure that selects weights; where the
    objective names none, there is no best.ckpt, and the last weights count.

    Weights that are not finite are never saved: what lies there is the last good state.

    Args:
        every_n_steps: steps of training between two versions of last.ckpt.

    Raises:
        UserError: while training, there is nothing finite to save; going on would not help.
    """

    def __init__(self, every_n_steps: int = 1000) -> None:
        self.every_n_steps = every_n_steps
        self.best: float | None = None  # lower is better
        self.best_step = 0
        self._saved_step = -1
        self._is_overdue = False

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        if stage == "fit" and trainer.is_global_zero:
            remove_leftovers(_folder(trainer))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        step = pl_module.steps_taken
        if is_mid_accumulation(trainer) or step == self._saved_step or validation_follows(trainer):
            return
        if self._is_overdue or step % self.every_n_steps == 0 or is_last_step(trainer):
            self._save_last(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        value = _selecting(trainer, pl_module)
        improved = value is not None and (self.best is None or value < self.best)
        if improved:
            self._hold_against_nan(trainer, pl_module)
            self.best, self.best_step = value, pl_module.steps_taken
            trainer.save_checkpoint(_folder(trainer) / "best.ckpt")
        if is_mid_accumulation(trainer):
            self._is_overdue = True
        elif improved:
            if trainer.is_global_zero:
                link_atomically(_folder(trainer) / "best.ckpt", _folder(trainer) / "last.ckpt")
            self._saved(pl_module)
        else:
            self._save_last(trainer, pl_module)

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        if isinstance(exception, Interrupted) and pl_module.steps_taken != self._saved_step:
            with suppress(UserError):  # nothing finite to save: the older file stays, and the interruption is told
                self._save_last(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]
        self.best_step = state_dict["best_step"]

    def _save_last(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._hold_against_nan(trainer, pl_module)
        trainer.save_checkpoint(_folder(trainer) / "last.ckpt")
        self._saved(pl_module)

    def _hold_against_nan(self, trainer: pl.Trainer, pl_module: Any) -> None:
        broken = broken_part(trainer, pl_module)
        if broken:
            reason = f"after step {pl_module.steps_taken}: {broken} is not finite"
            raise UserError(explain_stop(trainer, pl_module, reason, last_checkpoint(trainer), may_skip=False))

    def _saved(self, pl_module: Any) -> None:
        self._saved_step = pl_module.steps_taken
        self._is_overdue = False


def _selecting(trainer: pl.Trainer, pl_module: Any) -> float | None:
    """The figure that selects weights, its sign turned where higher is better."""
    if pl_module.selection is None:
        return None
    name, direction = pl_module.selection
    if f"val/{name}" not in trainer.callback_metrics:
        raise UserError(
            f"{type(pl_module.objective).__name__} selects weights by {name}, which is not among the figures of a "
            f"validation: {', '.join(key for key in trainer.callback_metrics if key.startswith('val/'))}"
        )
    value = float(trainer.callback_metrics[f"val/{name}"])
    return value if direction == "lower" else -value


def _folder(trainer: pl.Trainer) -> Path:
    return Path(trainer.default_root_dir) / "checkpoints"
