"""A normal posterior whose latents depend on each other."""

import torch
from torch import Tensor

from genmodels.distributions import Base, StandardNormal
from genmodels.distributions.normal import log_normal
from genmodels.models.vaes.posterior import Posterior
from genmodels.networks.full_precision import full, no_autocast


class FullCovariance(Posterior):
    """N(mu(x), L(x) L(x)'), L lower triangular with a positive diagonal (Kingma & Welling 2019, Section 2.5.1).

        z = mu + L eps,   log q(z | x) = log N(eps; 0, I) - sum_i log L_ii

    The encoder gives mu, log L_ii and, row by row, what is below the diagonal: Z (Z + 3) / 2 numbers.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, num_latents: int) -> None:
        super().__init__(num_latents, num_latents * (num_latents + 3) // 2)
        rows, columns = torch.tril_indices(num_latents, num_latents, offset=-1)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)

    def sample(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_diagonal, factor = self._parameters_from(features)
        noise = torch.randn_like(mean)
        with no_autocast(noise):
            return mean + (factor @ noise[..., None])[..., 0], log_normal(noise, log_diagonal)

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        mean, log_diagonal, factor = self._parameters_from(features)
        noise = torch.linalg.solve_triangular(factor, (z - mean)[..., None], upper=False)[..., 0]
        return log_normal(noise, log_diagonal)

    def centre(self, features: Tensor) -> Tensor:
        return features[..., : self.num_latents]

    def kl(self, features: Tensor, prior: Base) -> Tensor | None:
        """Against the standard normal: (mu_i^2 + sum_j L_ij^2 - 1) / 2 - log L_ii.

        That is of each latent given those before it, in expectation.
        """
        if type(prior) is not StandardNormal:
            return None
        mean, log_diagonal, factor = self._parameters_from(features)
        return 0.5 * (mean.square() + factor.square().sum(dim=-1) - 1.0) - log_diagonal

    def pairs(self, z: Tensor, features: Tensor) -> Tensor:
        """By one solution for all z of an example."""
        mean, log_diagonal, factor = self._parameters_from(features)
        offsets = z[:, None] - mean
        noise = torch.linalg.solve_triangular(factor, offsets.permute(1, 2, 0), upper=False)
        return log_normal(noise.permute(2, 0, 1), log_diagonal)

    def _parameters_from(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """mu and log L_ii, [B, Z], and L, [B, Z, Z]."""
        n = self.num_latents
        mean, log_diagonal, below = full(features).tensor_split((n, 2 * n), dim=-1)
        factor = torch.diag_embed(log_diagonal.exp())
        factor[..., self.rows, self.columns] = below
        return mean, log_diagonal, factor
