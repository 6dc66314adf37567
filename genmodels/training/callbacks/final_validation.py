"""A validation of the last weights."""

from typing import Any

import pytorch_lightning as pl

from genmodels.training.position import is_last_step


class FinalValidation(pl.Callback):
    """Validates after the last step wherever the fit ends: within an epoch, or in one that would have had none.

    Lightning alone validates at neither, and the last weights could not be chosen.
    """

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if is_last_step(trainer):
            trainer.should_stop = True
            if trainer.check_val_every_n_epoch is not None:
                trainer.check_val_every_n_epoch = 1
