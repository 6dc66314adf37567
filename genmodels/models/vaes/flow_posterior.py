"""Posteriors made by flows: Variational Inference with Normalizing Flows (Rezende & Mohamed, ICML 2015, 1505.05770)."""

import torch
from torch import Tensor

from genmodels.bijections import Bijection
from genmodels.models.vaes.posterior import Diagonal, Posterior
from genmodels.ranges import at_least


class FlowPosterior(Posterior):
    """A diagonal normal distribution, the encoder's, pushed through the inverse of a bijection that may see a context.

        z = f^-1(z_0; h(x)),   log q(z | x) = log N(z_0; mu(x), sigma(x)^2) + log|det df/dz|     (Equations 5 to 7)

    As in every flow, f leads from the density's own variable to noise, so that drawing takes `inverse`: an
    autoregressive layer is fast to draw from as the `Inverse` of an `Autoregressive`. The centre is the image of mu.

    Args:
        num_latents: Z.
        bijection: f, of vectors [B, Z].
        context_features: numbers h(x) that the encoder gives for f; 0 for a bijection that is the same for every x.
    """

    def __init__(self, num_latents: int, bijection: Bijection, context_features: int = 0) -> None:
        at_least(0, under="model.posterior.", context_features=context_features)
        super().__init__(num_latents, 2 * num_latents + context_features)
        self.context_features = context_features
        self.base = Diagonal(num_latents)
        self.bijection = bijection

    def sample(self, features: Tensor) -> tuple[Tensor, Tensor]:
        normal, context = self._split(features)
        noise, log_density = self.base.sample(normal)
        z, log_det = self.bijection.inverse(noise, context)
        return z, log_density - log_det

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        normal, context = self._split(features)
        noise, log_det = self.bijection(z, context)
        # Far outside of q the inverse of a map overflows: there is no density left.
        return (self.base(noise, normal) + log_det).nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)

    def centre(self, features: Tensor) -> Tensor:
        normal, context = self._split(features)
        return self.bijection.inverse(self.base.centre(normal), context)[0]

    def pairs(self, z: Tensor, features: Tensor) -> Tensor:
        """Where the bijection sees no context, by one pass of it and the pairs of the normal distributions."""
        if self.context_features:
            return super().pairs(z, features)
        noise, log_det = self.bijection(z)
        return self.base.pairs(noise, features) + log_det[:, None]

    def _split(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """What mu and log sigma are made of, and the context."""
        normal, context = features.split((2 * self.num_latents, self.context_features), dim=1)
        return normal, context if self.context_features else None
