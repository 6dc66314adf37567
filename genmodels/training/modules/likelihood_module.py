"""The Lightning module of every model that is trained by one loss."""

from typing import Any

from torch import Tensor

from genmodels.bijections import telling_of_stiffness
from genmodels.errors import UserError
from genmodels.models.contract import Batch
from genmodels.objectives import Loss
from genmodels.training.modules.training_module import TrainingModule
from genmodels.training.position import window_size


class LikelihoodModule(TrainingModule):
    """Minimises a `Loss` over all parameters of the model."""

    objective: Loss

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.objective.at_step(self.steps_taken)
        loss, metrics = self._loss_and_metrics(*batch)
        if not loss.requires_grad:
            raise UserError(
                f"the loss of {type(self.objective).__name__} does not depend on any weight of "
                f"{type(self.model).__name__}: there is nothing to train"
            )
        self.step_metrics = {f"train/{name}": value for name, value in metrics.items()}
        # Lightning divides by the full count, also where the epoch ends within a window.
        return loss * (self.rules.accumulate_grad_batches / window_size(self.trainer))

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        with telling_of_stiffness():
            super().backward(loss, *args, **kwargs)

    def evaluate_batch(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        return self._loss_and_metrics(x, y)[1]

    def _loss_and_metrics(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        match self.objective(self.model, x, y):
            case Tensor() as loss, dict() as metrics if loss.numel() == 1:
                return loss, {**metrics, **self.model.diagnostics()}
        raise UserError(
            f"{type(self.objective).__name__} has to give a scalar loss and its metrics by name: loss, {{...}}"
        )
