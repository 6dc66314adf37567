"""A normal posterior whose latents depend on one another."""

import torch
from torch import Tensor

from genmodels.distributions.base import Base, StandardNormal
from genmodels.models.vaes.posterior import Posterior, log_normal


class FullCovariance(Posterior):
    """N(mu(x), L(x) L(x)'), L lower triangular with a positive diagonal (Kingma & Welling 2019, Section 2.5.1).

    Features: mu, the logarithm of L's diagonal, and what is below it row by row, Z + Z + Z (Z - 1) / 2.
    """

    def __init__(self, num_latents: int) -> None:
        super().__init__(num_latents, 2 * num_latents + num_latents * (num_latents - 1) // 2)

    def sample(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_diagonal, factor = self._parameters_from(features)
        noise = torch.randn_like(mean)
        return mean + (factor @ noise[..., None]).squeeze(-1), log_normal(noise, log_diagonal)

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        mean, log_diagonal, factor = self._parameters_from(features)
        noise = torch.linalg.solve_triangular(factor, (z - mean)[..., None], upper=False).squeeze(-1)
        return log_normal(noise, log_diagonal)

    def centre(self, features: Tensor) -> Tensor:
        return features[:, : self.num_latents]

    def kl(self, features: Tensor, prior: Base) -> Tensor | None:
        """Against the standard normal, all latents together: (|mu|^2 + |L|^2 - Z) / 2 - sum log L_ii, [B, 1]."""
        if type(prior) is not StandardNormal:
            return None
        mean, log_diagonal, factor = self._parameters_from(features)
        squares = mean.square().sum(dim=1) + factor.square().sum(dim=(1, 2)) - self.num_latents
        return (0.5 * squares - log_diagonal.sum(dim=1))[:, None]

    def _parameters_from(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """mu and log-diagonal [B, Z], and L [B, Z, Z]."""
        size = self.num_latents
        mean, log_diagonal, below = features.split([size, size, size * (size - 1) // 2], dim=1)
        rows, columns = torch.tril_indices(size, size, offset=-1, device=features.device)
        strictly_lower = features.new_zeros(len(features), size, size).index_put(
            (torch.arange(len(features), device=features.device)[:, None], rows, columns), below
        )
        return mean, log_diagonal, strictly_lower + torch.diag_embed(log_diagonal.exp())
