"""Approximate posteriors q(z | x): distributions of latents given what an encoder makes of x."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genmodels.distributions.base import Base, StandardNormal
from genmodels.distributions.normal import log_normal, log_normal_of_pairs
from genmodels.errors import UserError
from genmodels.networks.full_precision import full
from genmodels.ranges import at_least

_PAIRS = 2**16  # at a time: fewer take more time, more take more memory


class Posterior(nn.Module, ABC):
    """q(z | x) of latent vectors, given features of x.

    Called, it gives log q(z | x) of any latents, so that its parameters can be held fixed in that while the draws
    depend on them.

    Args:
        num_latents: Z.
        num_features: F, what the encoder has to give for an example.
    Shapes: features [B, F], z [B, Z], log q [B] nats.
    """

    def __init__(self, num_latents: int, num_features: int) -> None:
        at_least(1, under="model.posterior.", num_latents=num_latents)
        super().__init__()
        self.num_latents = num_latents
        self.num_features = num_features

    @abstractmethod
    def sample(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """A draw for each row, differentiable in the features and the parameters, and its log q."""

    @abstractmethod
    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        """log q(z | x)."""

    @abstractmethod
    def centre(self, features: Tensor) -> Tensor:
        """What stands for the whole distribution where one point has to: [B, Z], no randomness."""

    def kl(self, features: Tensor, prior: Base) -> Tensor | None:
        """KL(q || prior), [B, U] nats over U units, where there is a closed form, else None."""
        return None

    def pairs(self, z: Tensor, features: Tensor) -> Tensor:
        """log q of every z given every example: z [M, Z], features [N, F] -> [M, N]."""
        blocks = z.split(max(1, _PAIRS // len(features)))
        return torch.cat([self._pairs_at_once(block, features) for block in blocks])

    def _pairs_at_once(self, z: Tensor, features: Tensor) -> Tensor:
        rows, columns = len(z), len(features)
        return self(z.repeat_interleave(columns, dim=0), features.repeat(rows, 1)).view(rows, columns)


class Diagonal(Posterior):
    """N(mu(x), diag sigma(x)^2), of which the encoder gives mu and log sigma (Kingma & Welling 2014, Equation 9).

    Args:
        log_scales: the lowest and the highest log sigma, to which the encoder's is cut; [-3, 1] in VampPrior's official
            code. None: as the encoder gives it.
    Raises:
        UserError: a number is out of its range.
    """

    def __init__(self, num_latents: int, log_scales: Sequence[float] | None = None) -> None:
        super().__init__(num_latents, 2 * num_latents)
        if log_scales is not None and not (len(log_scales) == 2 and log_scales[0] < log_scales[1]):
            raise UserError(f"model.posterior.log_scales has to be a lower and a higher number, got {list(log_scales)}")
        self.log_scales = log_scales

    def sample(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = self._split(features)
        noise = torch.randn_like(mean)
        return mean + log_scale.exp() * noise, log_normal(noise, log_scale)

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        mean, log_scale = self._split(features)
        return log_normal((z - mean) * (-log_scale).exp(), log_scale)

    def centre(self, features: Tensor) -> Tensor:
        return features[..., : self.num_latents]

    def kl(self, features: Tensor, prior: Base) -> Tensor | None:
        """Against the standard normal, of each latent: (mu^2 + sigma^2 - 1) / 2 - log sigma (Appendix B)."""
        if type(prior) is not StandardNormal:
            return None
        mean, log_scale = self._split(features)
        return 0.5 * (mean.square() + torch.expm1(2 * log_scale)) - log_scale

    def pairs(self, z: Tensor, features: Tensor) -> Tensor:
        """By one matrix product, in float64."""
        return log_normal_of_pairs(z, *self._split(features))

    def _split(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = full(features).chunk(2, dim=-1)
        return mean, log_scale if self.log_scales is None else log_scale.clamp(*self.log_scales)
