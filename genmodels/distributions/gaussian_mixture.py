"""A learned mixture of normal distributions."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genmodels.distributions.base import Base
from genmodels.distributions.pixels import COLDEST
from genmodels.ranges import at_least


class GaussianMixture(Base):
    """p(z) = sum_k pi_k N(z; m_k, diag s_k^2), all learned; "MoG" of Tomczak & Welling 2018.

    Starts with equal weights, means drawn from N(0, 1), so that components differ, and deviations of 1. A temperature
    divides the logits of the components and multiplies their deviations.

    Args:
        shape: (Z,).
        num_components: K.
    Raises:
        UserError: no component.
    """

    def __init__(self, shape: Sequence[int], num_components: int = 50) -> None:
        at_least(1, under="model.prior.", num_components=num_components)
        super().__init__(shape)
        self.logits = nn.Parameter(torch.zeros(num_components))
        self.means = nn.Parameter(torch.randn(num_components, *shape))
        self.log_scales = nn.Parameter(torch.zeros(num_components, *shape))

    def log_prob(self, z: Tensor) -> Tensor:
        noise = (z[:, None] - self.means) * (-self.log_scales).exp()
        log_normals = -(0.5 * noise.square() + self.log_scales).sum(dim=2) - 0.5 * math.log(2 * math.pi) * z.shape[1]
        return (self.logits.log_softmax(dim=0) + log_normals).logsumexp(dim=1)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        weights = (self.logits / max(temperature, COLDEST)).softmax(dim=0)
        chosen = torch.multinomial(weights, n, replacement=True)
        means = self.means[chosen]
        return means + temperature * self.log_scales[chosen].exp() * torch.randn_like(means)
