"""Where a model puts a whole set of examples in its latent space."""

import math

import torch
from torch import Tensor

from genmodels.models.vaes.posterior import Posterior

_LATENTS, _EXAMPLES = 500, 5000  # of one block: 20 MB of log-densities


class AggregatePosterior:
    """q(z) = 1/N sum_n q(z | x_n), the mixture itself (Makhzani et al. 2016, Section 2).

    Args:
        posterior: q(z | x).
        features: of all N examples, [N, F].
    """

    def __init__(self, posterior: Posterior, features: Tensor) -> None:
        self.posterior, self.features = posterior, features

    @torch.no_grad()
    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z). Shapes: [M, Z] -> float64 [M], nats."""
        return torch.cat([self._log_sum(some) for some in z.split(_LATENTS)]) - math.log(len(self.features))

    def _log_sum(self, z: Tensor) -> Tensor:
        total = torch.full((len(z),), -math.inf, dtype=torch.float64, device=z.device)
        for features in self.features.split(_EXAMPLES):
            total = torch.logaddexp(total, self.posterior.pairs(z, features).double().logsumexp(dim=1))
        return total
