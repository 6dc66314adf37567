"""Maximum likelihood."""

from typing import Any

from torch import Tensor

from genmodels.errors import UserError
from genmodels.objectives.units import in_reported_unit, metric_name


class NegativeLogLikelihood:
    """The mean of -log_prob over a batch: in bits/dim for images, in nats for vectors.

    For a model whose `log_prob` is a log importance weight (`model.exact` is False) its mean is the negative of the
    evidence lower bound, so the same loss trains VAEs and flows on dequantised images.
    """

    def check(self, model: Any) -> None:
        """Raise UserError unless `model` has a density to maximise."""
        if not callable(getattr(model, "log_prob", None)):
            raise UserError(
                f"objective=nll needs a model with a density, and {type(model).__name__} has no log_prob; "
                "choose the objective that belongs to the model."
            )

    def __call__(self, model: Any, x: Tensor, y: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the scalar loss and the metric under the name that `metric_name(model)` gives."""
        loss = in_reported_unit(model.log_prob(x, y), model).mean()
        return loss, {metric_name(model): loss.detach()}
