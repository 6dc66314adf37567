"""Statistics of the whole training set for layers that normalise by them."""

from typing import Any

import pytorch_lightning as pl
import torch

from genmodels.training.seeding import mixed_seed, seeded


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
        model = pl_module.model
        if not getattr(model, "needs_statistics", False) or trainer.sanity_checking:
            return
        loader = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
        loader.sampler.shuffle = False  # every example once, the last partial batch too
        move = trainer.strategy.batch_to_device
        with seeded(mixed_seed(self.seed, "statistics", trainer.global_rank), pl_module.device):
            model.set_statistics(move(batch) for batch in loader)
