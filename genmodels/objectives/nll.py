"""Maximum likelihood."""

from torch import Tensor

from genmodels.models.capabilities import required
from genmodels.models.contract import Density
from genmodels.models.model import Model
from genmodels.objectives.objective import Loss, Selection
from genmodels.objectives.units import in_reported_unit, metric_name


class NegativeLogLikelihood(Loss):
    """The mean of -log_prob over a batch: in bits/dim for images, in nats for vectors.

    For a model whose `log_prob` is a log importance weight (`model.exact` is False) its mean is the negative of the
    evidence lower bound, so the same loss trains VAEs and flows on dequantised images.
    """

    def check(self, model: Model) -> None:
        """Raise UserError unless `model` has a density to maximise."""
        required(model, Density, "objective=nll")

    def selection(self, model: Model) -> Selection:
        return Selection(metric_name(model))

    def __call__(self, model: Model, x: Tensor, y: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the scalar loss and the metric under the name that `metric_name(model)` gives."""
        density = required(model, Density, "objective=nll")
        loss = in_reported_unit(density.log_prob(x, y), model).mean()
        return loss, {metric_name(model): loss.detach()}
