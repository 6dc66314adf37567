"""What all models with latents share: their log-weight is the sum of the terms that they give."""

from abc import ABC, abstractmethod
from typing import get_args

from torch import Tensor

from genmodels.models.model import Model
from genmodels.models.terms import Gradient, Terms


class LatentVariableModel(Model, ABC):
    """p(x) = integral of p(x | z) p(z), inferred by q(z | x) (Kingma & Welling 2014; Rezende et al. 2014)."""

    exact = False
    gradients: frozenset[Gradient] = frozenset(get_args(Gradient))

    @abstractmethod
    def terms(
        self, x: Tensor, y: Tensor | None = None, samples: int = 1, gradient: Gradient = "reparametrised"
    ) -> Terms:
        """The terms of `samples` log-weights of each example; x [B, *shape], y [B]."""

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """One log importance weight log p(x, z) - log q(z | x); its mean is the ELBO. [B, *shape] -> [B], nats."""
        return self.terms(x, y).log_weights[0]
