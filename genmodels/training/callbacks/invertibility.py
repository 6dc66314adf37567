"""How far a flow is from invertible in the arithmetic it runs in."""

from typing import Any

import pytorch_lightning as pl

from genmodels.models.capabilities import offered
from genmodels.models.contract import Invertible
from genmodels.randomness import seed_for, seeded
from genmodels.training.recording import record


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
        if batch_idx or not trainer.is_global_zero:
            return
        flow = offered(pl_module.model, Invertible)
        if flow is None:
            return
        with seeded(seed_for("inverse error"), pl_module.device):
            self._error = float(flow.inverse_error(*batch))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        # Not before: an interrupted validation is run again, and must not have logged anything.
        if self._error is not None:
            record(trainer, {"val/inverse_error": self._error})
            self._error = None
