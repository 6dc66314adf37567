"""The importance-weighted bound of K draws, with a choice of estimators of its gradient."""

import math
from typing import Literal

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.models.capabilities import required
from genmodels.models.contract import Density, LatentVariables, SingleLatent
from genmodels.models.log_weights import log_weights
from genmodels.models.model import Model
from genmodels.objectives.gradients import PATHS, check_gradient
from genmodels.objectives.objective import Loss, Selection
from genmodels.objectives.units import in_reported_unit, metric_name
from genmodels.ranges import at_least


class IWAE(Loss):
    """-E[log (1/K) sum_k w_k], the mean over a batch, in bits/dim for images, nats for vectors.

    Burda, Grosse & Salakhutdinov 2016: with K = 1 the ELBO, and tighter with every further draw (Theorem 1). K rows
    for each example go through the decoder, in validation too, which measures and selects by the bound that is trained.

    Every model whose `log_prob` is a log importance weight can be trained so: variational autoencoders, and flows on
    dequantised images. The metric is the bound itself.

    Args:
        samples: K; 5, 50 in the paper.
        gradient: with respect to q; all but the first are for variational autoencoders:
            reparametrised          through the draws
            sticking                the same with the parameters of log q stopped (Roeder et al. 2017); for K > 1 biased
            doubly_reparametrised   the same with each draw's normalised weight squared, which takes the bias away;
                                    its signal rises above the noise with K, where that of `reparametrised` sinks
                                    below (Tucker et al. 2019); one layer of latents alone
            reinforce               by the score of q (Williams 1992)
            reinforce_baseline      the same, less what the bound would be with the geometric mean of the other weights
                                    in place of the draw's own (VIMCO, Mnih & Rezende 2016)
    Raises:
        UserError: no draw, or a baseline of other draws where there is one.
    """

    def __init__(
        self,
        samples: int = 5,
        gradient: Literal[
            "reparametrised", "sticking", "doubly_reparametrised", "reinforce", "reinforce_baseline"
        ] = "reparametrised",
    ) -> None:
        at_least(1, under="objective.", samples=samples)
        if gradient == "reinforce_baseline" and samples == 1:
            raise UserError(
                "objective.gradient=reinforce_baseline needs objective.samples of 2 or more, for each draw's baseline "
                "is made of the others"
            )
        self.samples, self.gradient = samples, gradient

    def check(self, model: Model) -> None:
        """Raise UserError unless `model` has log-weights that vary, and the latents that the gradient needs."""
        if required(model, Density, "objective=iwae").exact:
            raise UserError(
                f"objective=iwae averages over draws, and {type(model).__name__} needs none, for it gives log p(x): "
                "choose objective=nll"
            )
        if model.estimates_log_prob:
            raise UserError(
                f"objective=iwae takes the log of a mean, which would count the noise of {type(model).__name__}'s "
                "log-determinants as likelihood: choose objective=nll, or exact log-determinants"
            )
        if self.gradient == "doubly_reparametrised":
            required(model, SingleLatent, "objective.gradient=doubly_reparametrised")
        if self.gradient != "reparametrised":  # which every log-weight has
            check_gradient(model, self.gradient)

    def selection(self, model: Model) -> Selection:
        return Selection(metric_name(model))

    def __call__(self, model: Model, x: Tensor, y: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and the bound."""
        if self.gradient == "reparametrised":
            bounds = bound = _log_mean(log_weights(model, x, y, self.samples, "objective=iwae"))
        else:
            bounds, bound = self._with_gradient(required(model, LatentVariables, "objective=iwae"), x, y)
        loss = in_reported_unit(bound, model).mean()
        return loss, {metric_name(model): in_reported_unit(bounds.detach(), model).mean()}

    def _with_gradient(self, model: LatentVariables, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """The bound of each example, and a surrogate with the gradient wanted; both [B] nats."""
        terms = model.terms(x, y, self.samples, PATHS[self.gradient])
        weights = terms.log_weights
        bounds = _log_mean(weights)
        if self.gradient == "doubly_reparametrised":
            _weigh_again(terms.latents[0], weights)
        if PATHS[self.gradient] != "score":
            return bounds, bounds
        signal = bounds.detach().expand_as(weights)
        if self.gradient == "reinforce_baseline":
            signal = signal - _without_each(weights.detach())
        return bounds, bounds + (signal * terms.log_posterior).sum(dim=0)


def _log_mean(log_weights: Tensor) -> Tensor:
    """log (1/K) sum_k w_k; [K, B] -> [B]."""
    return log_weights.logsumexp(dim=0) - math.log(len(log_weights))


def _weigh_again(latents: Tensor, log_weights: Tensor) -> None:
    """Multiply what flows back into each draw by its normalised weight: w~ from the bound itself becomes w~^2."""
    if latents.requires_grad:
        normalised = log_weights.detach().softmax(dim=0)
        latents.register_hook(lambda grad: grad * normalised.view(*normalised.shape, *[1] * (grad.dim() - 2)))


def _without_each(log_weights: Tensor) -> Tensor:
    """The bound with each log-weight in turn replaced by the mean of the others; [K, B] -> [K, B]."""
    count = len(log_weights)
    others = (log_weights.sum(dim=0) - log_weights) / (count - 1)
    own = torch.eye(count, dtype=torch.bool, device=log_weights.device)[:, :, None]
    return torch.where(own, others[:, None], log_weights).logsumexp(dim=1) - math.log(count)
