"""Posteriors made richer by a normalizing flow (Rezende & Mohamed 2015)."""

from torch import Tensor

from genmodels.bijections import Bijection
from genmodels.models.vaes.posterior import Diagonal, Posterior


class FlowPosterior(Posterior):
    """z = f^-1(z_0; h(x)),   z_0 ~ N(mu(x), diag sigma(x)^2),   log q(z | x) = log q_0(z_0) + log|det df/dz|.

    A bijection leads from the latents to the noise, as flows of data do; drawing takes its inverse (Rezende & Mohamed
    2015, Equation 13).

    Args:
        num_latents: Z.
        bijection: f, of vectors [B, Z].
        context_features: numbers h(x) that the encoder gives to it besides mu and log sigma.
    """

    def __init__(self, num_latents: int, bijection: Bijection, context_features: int = 0) -> None:
        super().__init__(num_latents, 2 * num_latents + context_features)
        self.base = Diagonal(num_latents)
        self.bijection = bijection

    def sample(self, features: Tensor) -> tuple[Tensor, Tensor]:
        base, context = self._split(features)
        noise, log_q = self.base.sample(base)
        z, log_det = self.bijection.inverse(noise, context)
        return z, log_q - log_det

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        base, context = self._split(features)
        noise, log_det = self.bijection(z, context)
        return self.base(noise, base) + log_det

    def centre(self, features: Tensor) -> Tensor:
        base, context = self._split(features)
        return self.bijection.inverse(self.base.centre(base), context)[0]

    def _split(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        base, context = features.tensor_split([self.base.num_features], dim=1)
        return base, context if context.shape[1] else None
