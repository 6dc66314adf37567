"""A mixture of normal distributions as a prior."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genmodels.distributions.base import Base
from genmodels.distributions.normal import log_normal_of_pairs
from genmodels.distributions.pixels import COLDEST
from genmodels.ranges import at_least


class MixtureOfGaussians(Base):
    """p(z) = sum_k w_k N(z; m_k, diag s_k^2), all of it learned.

    At the start the weights are equal, and the whole has about the mean and the variance of a standard normal, half of
    it between the components and half within: components that are equal would stay equal. A temperature divides the
    logits of the components and multiplies their deviations.

    Args:
        shape: (Z,).
        num_components: k.
    """

    def __init__(self, shape: Sequence[int], num_components: int = 500) -> None:
        at_least(1, under="model.prior.", num_components=num_components)
        super().__init__(shape)
        self.logits = nn.Parameter(torch.zeros(num_components))
        self.means = nn.Parameter(math.sqrt(0.5) * torch.randn(num_components, *shape))
        self.log_scales = nn.Parameter(torch.full((num_components, *shape), 0.5 * math.log(0.5)))

    def log_prob(self, z: Tensor) -> Tensor:
        log_weights = self.logits.double().log_softmax(dim=0)
        joint = log_weights + log_normal_of_pairs(z, self.means, self.log_scales)
        return joint.logsumexp(dim=1).to(z.dtype)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        weights = (self.logits / max(temperature, COLDEST)).softmax(dim=0)
        chosen = torch.multinomial(weights, n, replacement=True)
        mean, scale = self.means[chosen], self.log_scales[chosen].exp()
        return mean + temperature * scale * torch.randn_like(mean)
