"""The Lightning module of every model that is trained by one loss."""

from torch import Tensor

from genmodels.models.contract import Batch
from genmodels.objectives import Loss
from genmodels.training.modules.training_module import TrainingModule


class LikelihoodModule(TrainingModule):
    """Minimises a `Loss` over all parameters of the model."""

    objective: Loss

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.objective.at_step(self.trainer.fit_loop.total_batch_idx)
        loss, metrics = self.objective(self.model, *batch)
        self.step_metrics = {f"train/{name}": value for name, value in metrics.items()}
        return loss

    def evaluate_batch(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        return self.objective(self.model, x, y)[1]
