"""Regression of a vector field, in place of solving for it."""

from typing import Literal

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from genmodels.errors import UserError
from genmodels.models.capabilities import required
from genmodels.models.contract import Density, VelocityField
from genmodels.models.model import Model
from genmodels.objectives.objective import Loss, Selection
from genmodels.objectives.units import in_reported_unit, metric_name
from genmodels.ranges import at_least

Pairing = Literal["independent", "optimal_transport"]


class FlowMatching(Loss):
    """E |velocity(s, x_s) - d x_s / ds|^2 per dimension,   x_s = (1 - s) x + (s + (1 - s) sigma_min) z,   z ~ N(0, I)

    Conditional flow matching with the straight ways of Lipman et al. 2023, Equations 20 to 23, from the data's side: s
    is 0 at the data and 1 at the noise, where their t is 1 - s. The regression's solution is the mean of d x_s / ds =
    (1 - sigma_min) z - x over all pairs (x, z) whose ways meet at x_s, and its flow takes the noise to the data,
    widened by sigma_min. No equation is solved; the model's likelihood and samples are those of the flow.

    With pairing="optimal_transport" the z of a batch are dealt out anew so that the sum of |x - z|^2 is least (Tong et
    al. 2024; Pooladian et al. 2023): ways cross less, and come out straighter. The larger the batch, the nearer this
    comes to optimal transport of the two distributions; the assignment takes the third power of the batch.

    The metric `flow_matching_loss` has a floor well above nought, the spread of d x_s / ds at a place, and no unit.
    It selects the weights, unless likelihoods are measured: then they do.

    Args:
        pairing: of data and noise.
        sigma_min: deviation at the data's end.
        likelihood_examples: of each validation batch so many are scored by their likelihood, which is solved for; 0:
            none.
    Raises:
        UserError: a number is out of its range.
    """

    name = "flow_matching_loss"

    def __init__(self, pairing: Pairing = "independent", sigma_min: float = 0.0, likelihood_examples: int = 0) -> None:
        at_least(0, under="objective.", sigma_min=sigma_min, likelihood_examples=likelihood_examples)
        self.pairing, self.sigma_min, self.likelihood_examples = pairing, sigma_min, likelihood_examples

    def check(self, model: Model) -> None:
        """Raise UserError unless `model` follows one vector field."""
        field = required(model, VelocityField, "objective=flow_matching")
        if field.num_blocks != 1:
            raise UserError(
                f"objective=flow_matching fits one vector field, and model.num_blocks={field.num_blocks} makes "
                "several: set it to 1"
            )

    def selection(self, model: Model) -> Selection:
        return Selection(metric_name(model) if self.likelihood_examples else self.name)

    def __call__(self, model: Model, x: Tensor, y: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, and in evaluation mode the likelihood of the first examples, if any are wanted."""
        field = required(model, VelocityField, "objective=flow_matching")
        data = field.at_start(x)
        noise = torch.randn_like(data)
        if self.pairing == "optimal_transport":
            noise = noise[nearest_pairs(data, noise)]
        time = torch.rand(len(data), dtype=data.dtype, device=data.device)
        point, target = self.way(data, noise, time)
        loss = (field.velocity(time, point) - target).square().mean()
        metrics = {self.name: loss.detach()}
        if self.likelihood_examples and not model.training:
            density = required(model, Density, "objective.likelihood_examples")
            few = slice(self.likelihood_examples)
            log_prob = density.log_prob(x[few], None if y is None else y[few])
            metrics[metric_name(model)] = in_reported_unit(log_prob, model).mean()
        return loss, metrics

    def way(self, data: Tensor, noise: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """x_s and d x_s / ds. Shapes: data, noise [B, *shape], time [B] -> [B, *shape] both."""
        s = time.view(-1, *[1] * (data.dim() - 1))
        return (1 - s) * data + (s + (1 - s) * self.sigma_min) * noise, (1 - self.sigma_min) * noise - data


def nearest_pairs(data: Tensor, noise: Tensor) -> Tensor:
    """The permutation of `noise` with the least sum of squared distances to `data`. Shapes: [B, *shape] both -> [B]."""
    distances = torch.cdist(data.flatten(1).double(), noise.flatten(1).double()).square()
    _, columns = linear_sum_assignment(distances.cpu().numpy())
    return torch.from_numpy(columns).to(data.device)
