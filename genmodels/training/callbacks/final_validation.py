"""A validation of the last weights."""

from typing import Any

import pytorch_lightning as pl

from genmodels.training.position import is_last_step, validation_follows


class FinalValidation(pl.Callback):
    """Validates after the last step wherever the fit ends: within an epoch, or in one that would have had none.

    Lightning alone validates at neither, and the last weights could not be chosen.

    Attributes:
        is_extra: whether the validation that ends the fit would not have been but for that.
    """

    is_extra = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if is_last_step(trainer):
            self.is_extra = not validation_follows(trainer)
            trainer.should_stop = True
            if trainer.check_val_every_n_epoch is not None:
                trainer.check_val_every_n_epoch = 1
