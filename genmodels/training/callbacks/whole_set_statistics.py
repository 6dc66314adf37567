"""Statistics of the whole training set for layers that normalise by them."""

from typing import Any

import pytorch_lightning as pl
import torch

from genmodels.models.capabilities import offered
from genmodels.models.contract import SetStatistics
from genmodels.randomness import seed_for, seeded


class WholeSetStatistics(pl.Callback):
    """Passes the training set through models with a `set_statistics(batches)` before every validation.

    So validation, the checkpoints after it and evaluation see the statistics of the current weights; without such a
    method, or with `model.needs_statistics` false, nothing happens. They are buffers and thus saved. Dequantisation
    noise is a function of (seed, rank). Under several ranks each passes its share of the set.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    @torch.no_grad()
    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        model = offered(pl_module.model, SetStatistics)
        if model is None or not model.needs_statistics or trainer.sanity_checking:
            return
        loader = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
        loader.sampler.shuffle = False  # every example once, the last partial batch too
        move = trainer.strategy.batch_to_device
        with seeded(seed_for("statistics", self.seed, trainer.global_rank), pl_module.device):
            model.set_statistics(move(batch) for batch in loader)
