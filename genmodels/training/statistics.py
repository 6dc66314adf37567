"""Statistics of the whole training set for layers that normalise by them."""

from typing import Any

import pytorch_lightning as pl
import torch

from genmodels.training.initialization import broadcast_from_rank_zero
from genmodels.training.seeding import mixed_seed, seeded


class WholeSetStatistics(pl.Callback):
    """Passes the training set through models with a `set_statistics(batches)` before every validation.

    So validation, the checkpoints after it and evaluation see the statistics of the current weights; without such a
    method, or with `model.needs_statistics` false, nothing happens. They are buffers and thus saved. Dequantisation
    noise is a function of the seed.

    Under several ranks all take the statistics of rank 0's share of the training set.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    @torch.no_grad()
    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        model = pl_module.model
        if not getattr(model, "needs_statistics", False) or trainer.sanity_checking:
            return
        if trainer.is_global_zero:
            loader = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
            loader.sampler.shuffle = False  # every example once, the last partial batch too
            with seeded(mixed_seed(self.seed, "statistics"), pl_module.device):
                model.set_statistics(x.to(pl_module.device) for x, _ in loader)
        if trainer.world_size > 1:
            broadcast_from_rank_zero(model)
