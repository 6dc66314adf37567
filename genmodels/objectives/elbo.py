"""The evidence lower bound, with what is done to it in training."""

from typing import Literal

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.models.capabilities import required
from genmodels.models.contract import LatentVariables
from genmodels.models.model import Model
from genmodels.models.terms import Terms
from genmodels.objectives.gradients import PATHS, check_gradient
from genmodels.objectives.objective import Loss, Selection
from genmodels.objectives.units import in_reported_unit, metric_name
from genmodels.ranges import at_least


class ELBO(Loss):
    """-E_q[log p(x | z)] + beta KL(q(z | x) || p(z)), the mean over a batch, in bits/dim for images, nats for vectors.

    KL is the closed form where there is one. The metrics are those of the bound itself: beta = 1, no free bits; `kl`
    and `log_likelihood` are its two terms in nats.

    Args:
        beta: weight of the KL (Higgins et al. 2017).
        warmup_steps: steps over which that weight rises from 0 to `beta`, linearly (Bowman et al. 2016).
        free_bits: nats of the mean KL over the batch that each unit of each layer, a channel or a latent, has for free:
            max(free_bits, KL) (Kingma et al. 2016, Equation 15). The batch is that of one device, as there.
        samples: draws of z for each example.
        gradient: of the expectation with respect to q:
            reparametrised      through the draws (Kingma & Welling 2014)
            sticking            the same less the score of q, which is nought in expectation (Roeder et al. 2017)
            reinforce           by the score of q (Williams 1992)
            reinforce_baseline  the same, less the mean of the other draws of the same x as a baseline; of one draw,
                                the mean of the other examples of the batch
    Raises:
        UserError: a number is out of its range.
    """

    def __init__(
        self,
        beta: float = 1.0,
        warmup_steps: int = 0,
        free_bits: float = 0.0,
        samples: int = 1,
        gradient: Literal["reparametrised", "sticking", "reinforce", "reinforce_baseline"] = "reparametrised",
    ) -> None:
        at_least(0, under="objective.", beta=beta, warmup_steps=warmup_steps, free_bits=free_bits)
        at_least(1, under="objective.", samples=samples)
        if free_bits and gradient != "reparametrised":
            # The others estimate the KL of all latents together, so that no latent has its own.
            raise UserError(
                f"objective.free_bits={free_bits} needs the KL of each unit: choose objective.gradient=reparametrised"
            )
        self.beta, self.warmup_steps, self.free_bits, self.samples = beta, warmup_steps, free_bits, samples
        self.gradient = gradient
        self._weight = beta if not warmup_steps else 0.0

    def check(self, model: Model) -> None:
        """Raise UserError unless `model` has latents that it infers, and the terms that the gradient needs."""
        required(model, LatentVariables, "objective=elbo")
        check_gradient(model, self.gradient)

    def selection(self, model: Model) -> Selection:
        return Selection(metric_name(model))

    def at_step(self, step: int) -> None:
        """Set the weight of the KL for training step `step`, counted from 0."""
        done = min(1.0, step / self.warmup_steps) if self.warmup_steps else 1.0
        self._weight = self.beta * done

    def __call__(self, model: Model, x: Tensor, y: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and, of the bound itself, its value and its two terms."""
        latent = required(model, LatentVariables, "objective=elbo")
        path = PATHS[self.gradient]
        terms = latent.terms(x, y, self.samples, path)
        # The closed form of the KL would bring back the gradient that the other ways leave out.
        units = [kl.mean(dim=0) if path == "reparametrised" else r.mean(dim=(0, 1)) for kl, r in _layers(terms)]
        log_likelihood, kl = terms.log_likelihood.mean(), torch.cat(units).sum()
        paid = torch.cat(units).clamp(min=self.free_bits).sum() if self.free_bits else kl
        loss = self._weight * paid - log_likelihood
        if path == "score":
            loss = loss - self._score(terms)
        metrics = {
            metric_name(model): in_reported_unit((log_likelihood - kl).detach(), model),
            "kl": kl.detach(),
            "log_likelihood": log_likelihood.detach(),
        }
        return in_reported_unit(-loss, model), metrics

    def _score(self, terms: Terms) -> Tensor:
        """A scalar whose gradient is that of E_q[f] with respect to q's own parameters, where the loss is -f."""
        kl = sum((ratio.sum(dim=-1) for ratio in terms.log_ratios), start=torch.zeros_like(terms.log_posterior))
        f = (terms.log_likelihood - self._weight * kl).detach()
        if self.gradient == "reinforce_baseline":
            others = 0 if self.samples > 1 else 1
            f = f - (f.sum(dim=others, keepdim=True) - f) / max(1, f.shape[others] - 1)
        # The loss holds weight * log q, whose gradient is nought in expectation and mere noise here.
        return ((f + self._weight) * terms.log_posterior).mean()


def _layers(terms: Terms) -> list[tuple[Tensor, Tensor]]:
    return list(zip(terms.kls, terms.log_ratios, strict=True))
