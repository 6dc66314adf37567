"""A flow as a prior."""

from collections.abc import Sequence

from torch import Tensor

from genmodels.bijections.base import Bijection
from genmodels.distributions.base import Base, StandardNormal


class FlowPrior(Base):
    """p(z) = N(f(z); 0, I) |det df/dz|: any bijection in front of a standard normal (Chen et al. 2017, Section 3.2).

    A temperature multiplies the deviation of the noise that f leads to.

    Args:
        shape: of one z.
        bijection: f, from z to noise.
    """

    def __init__(self, shape: Sequence[int], bijection: Bijection) -> None:
        super().__init__(shape)
        self.bijection = bijection
        self.noise = StandardNormal(shape)

    def log_prob(self, z: Tensor) -> Tensor:
        noise, log_det = self.bijection(z)
        return self.noise.log_prob(noise) + log_det

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        return self.bijection.inverse(self.noise.sample(n, temperature))[0]
