"""The Lightning module of every model that is trained by its likelihood."""

from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from genmodels.errors import UserError
from genmodels.networks.data_init import needs_initialization
from genmodels.training.callbacks.step_metrics import record
from genmodels.training.initialization import Batch, broadcast_from_rank_zero, initialize_from
from genmodels.training.seeding import mixed_seed, seed_generators, seeded


class LikelihoodModule(pl.LightningModule):
    """Minimises `objective` over the parameters of `model`.

    All noise (dequantisation, dropout, latents) of a training step is a function of (seed, batch count, rank), and
    of a validation batch one of (seed, batch index, rank): a resumed run draws what an uninterrupted one would have
    drawn, and validation figures of different steps differ by the weights alone.

    Args:
        model: offers `log_prob`, `shape` and `levels`.
        objective: loss and metrics of a batch.
        optimizer: parameter groups -> Optimizer. Where the model names its `decayed_parameters()`, weight decay
            applies to these alone.
        scheduler: optimizer -> LRScheduler, stepped once per optimiser step; None keeps the learning rate.
        seed: of the run.
        init_batch_size: training samples for data-dependent initialisation, where the model does not name its own.

    Attributes:
        metric_name: `bits_per_dim`, `nll` or the objective's own; validation logs it as `val/<metric_name>`.
        step_metrics: scalars of the latest training step. Callbacks may add theirs; `StepMetrics` logs them.

    Raises:
        UserError: objective and model do not go together.
    """

    def __init__(
        self,
        model: Any,
        objective: Any,
        optimizer: Callable[[Iterable[Any]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        seed: int = 0,
        init_batch_size: int = 256,
    ) -> None:
        super().__init__()
        objective.check(model)
        self.model = model
        self.objective = objective
        self.metric_name: str = objective.selection(model).name
        self.step_metrics: dict[str, Tensor] = {}
        self._make_optimizer = optimizer
        self._make_scheduler = scheduler
        self._seed = seed
        self._init_batch_size = init_batch_size
        self._validation_sums: dict[str, float] = {}
        self._validation_count = 0

    def setup(self, stage: str) -> None:
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            raise UserError(
                f"trainer.precision={self.trainer.precision} scales the loss, which hides what the NaN guard and "
                "gradient clipping measure; use trainer.precision=bf16-mixed or 32-true."
            )

    def on_train_start(self) -> None:
        if not needs_initialization(self.model):
            return
        if self.trainer.is_global_zero:
            loader = self.trainer.train_dataloader
            assert loader is not None
            move = self.trainer.strategy.batch_to_device
            size = getattr(self.model, "init_batch_size", self._init_batch_size)
            initialize_from(self.model, loader, move, size, self._seed)
        if self.trainer.world_size > 1:
            broadcast_from_rank_zero(self.model)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        step = self.trainer.fit_loop.total_batch_idx
        seed_generators(mixed_seed(self._seed, "train", step, self.global_rank), self.device)
        if at_step := getattr(self.objective, "at_step", None):
            at_step(step)
        loss, metrics = self.objective(self.model, *batch)
        self.step_metrics = {f"train/{name}": value for name, value in metrics.items()}
        return loss

    def on_validation_epoch_start(self) -> None:
        self._validation_sums = {}
        self._validation_count = 0

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        x, y = batch
        with seeded(mixed_seed(self._seed, "validation", batch_idx, self.global_rank), self.device):
            _, metrics = self.objective(self.model, x, y)
        for name, value in metrics.items():
            self._validation_sums[name] = self._validation_sums.get(name, 0.0) + float(value) * len(x)
        self._validation_count += len(x)

    def on_validation_epoch_end(self) -> None:
        # Sums and counts, since the ranks may hold unequal numbers of samples.
        totals = torch.tensor([*self._validation_sums.values(), self._validation_count], dtype=torch.float64)
        if self.trainer.world_size > 1:
            totals = self.trainer.strategy.reduce(totals.to(self.device), reduce_op="sum")
        *sums, count = totals.tolist()
        means = {f"val/{n}": s / count for n, s in zip(self._validation_sums, sums, strict=True)}
        record(self.trainer, means)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        # Lightning refuses to clip for fused optimisers under mixed precision because of loss scaling, which
        # `setup` has ruled out.
        if not gradient_clip_val:
            return
        if gradient_clip_algorithm == "value":
            nn.utils.clip_grad_value_(self.parameters(), gradient_clip_val)
        else:
            nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def configure_optimizers(self) -> Any:
        optimizer = self._make_optimizer(self._parameter_groups())
        if self._make_scheduler is None:
            return optimizer
        scheduler = self._make_scheduler(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _parameter_groups(self) -> list[dict[str, Any]]:
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        name_decayed = getattr(self.model, "decayed_parameters", None)
        if name_decayed is None:
            return [{"params": parameters}]
        decayed = list(name_decayed())
        chosen = {id(p) for p in decayed}
        rest = [p for p in parameters if id(p) not in chosen]
        return [{"params": decayed}, {"params": rest, "weight_decay": 0.0}]
