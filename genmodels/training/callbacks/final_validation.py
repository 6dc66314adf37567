"""A validation of the last weights."""

from typing import Any

import pytorch_lightning as pl

from genmodels.training.position import is_last_step


class FinalValidation(pl.Callback):
    """Validates after the last step also where `max_steps` ends the fit within an epoch; Lightning alone does not."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if is_last_step(trainer):
            trainer.should_stop = True
