"""How far a flow is from invertible in the arithmetic it runs in."""

from typing import Any

import pytorch_lightning as pl

from genmodels.training.callbacks.step_metrics import record
from genmodels.training.seeding import mixed_seed, seeded


class Invertibility(pl.Callback):
    """Logs `val/inverse_error`: the largest |decode(encode(x)) - x| over the first validation batch.

    Rank 0's batch, with the weights that validation sees. Models without `inverse_error` are left out.
    """

    def __init__(self) -> None:
        self._error: float | None = None

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx or not trainer.is_global_zero or not hasattr(pl_module.model, "inverse_error"):
            return
        with seeded(mixed_seed("inverse error"), pl_module.device):
            self._error = float(pl_module.model.inverse_error(*batch))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        # Not before: an interrupted validation is run again, and must not have logged anything.
        if self._error is not None:
            record(trainer, {"val/inverse_error": self._error})
            self._error = None
