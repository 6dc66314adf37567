"""Maximum likelihood along simple ways."""

from torch import Tensor

from genmodels.models.capabilities import required
from genmodels.models.contract import Transport
from genmodels.models.model import Model
from genmodels.objectives.nll import NegativeLogLikelihood
from genmodels.objectives.units import in_reported_unit, metric_name
from genmodels.ranges import at_least


class RNODE(NegativeLogLikelihood):
    """-log_prob + kinetic * (kinetic energy) + jacobian * (squared Frobenius norm), the means over a batch.

    Finlay, Jacobsen, Nurbekyan & Oberman 2020, Equation 9, with the constants of the official code: the first term in
    bits/dim (nats of vectors), the two regularisers per dimension as in `Costs`, summed over all bijections. Straight
    ways at constant speed take few steps, also of a coarse solver with steps of one size. Validation has the
    likelihood alone.

    Args:
        kinetic: weight of the kinetic energy.
        jacobian: weight of the norm of the field's Jacobian.
    Raises:
        UserError: a negative weight.
    """

    def __init__(self, kinetic: float = 0.01, jacobian: float = 0.01) -> None:
        at_least(0, under="objective.", kinetic=kinetic, jacobian=jacobian)
        self.kinetic, self.jacobian = kinetic, jacobian

    def check(self, model: Model) -> None:
        """Raise UserError unless `model` is a continuous flow."""
        required(model, Transport, "objective=rnode")

    def __call__(self, model: Model, x: Tensor, y: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, and the likelihood; in training mode the two costs as well."""
        if not model.training:
            return super().__call__(model, x, y)
        log_prob, costs = required(model, Transport, "objective=rnode").log_prob_and_costs(x, y)
        nll = in_reported_unit(log_prob, model).mean()
        kinetic, jacobian = costs.kinetic.mean(), costs.jacobian.mean()
        metrics = {metric_name(model): nll, "kinetic_energy": kinetic, "jacobian_norm": jacobian}
        loss = nll + self.kinetic * kinetic + self.jacobian * jacobian
        return loss, {name: value.detach() for name, value in metrics.items()}
