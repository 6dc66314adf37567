"""MADE with mixtures of Gaussians as conditionals (Papamakarios et al. 2017, Section 4)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genmodels.distributions.base import Base
from genmodels.distributions.pixels import COLDEST
from genmodels.networks.made_net import MADENet
from genmodels.ranges import at_least


class MixtureMADE(Base):
    """p(z) = prod_i sum_k w_ik N(z_i; m_ik, exp(v_ik)), with (log w, m, v)_i computed from the dimensions before i.

    "MADE MoG" of Papamakarios et al. 2017, there with 10 components; also the base density of "MAF MoG". The output
    biases start as N(0, 1), as in the official code: the first dimension sees nothing else, and components that are
    equal would stay equal. A temperature divides the logits of the components and multiplies their deviations.

    Args:
        shape: of one z, read as a vector.
        net: with 3 * num_components outputs for each dimension.
        num_components: k.
    """

    def __init__(self, shape: Sequence[int], net: MADENet, num_components: int) -> None:
        super().__init__(shape)
        self.net = net
        self.num_components = num_components
        torch.nn.init.normal_(net.output_bias)

    def log_prob(self, z: Tensor) -> Tensor:
        z = z.flatten(1)
        log_weight, mean, log_variance = self._parameters_from(self.net(z).unflatten(1, (-1, z.shape[1])), z.dtype)
        exponent = -0.5 * (z[:, None] - mean).square() * torch.exp(-log_variance)
        log_normal = exponent - 0.5 * (log_variance + math.log(2 * math.pi))
        return torch.logsumexp(log_weight + log_normal, dim=1).sum(dim=1)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        def draw(_: int, h: Tensor) -> Tensor:
            log_weight, mean, log_variance = self._parameters_from(h, self.like.dtype, temperature)
            component = torch.multinomial(log_weight.exp(), 1)
            deviation = temperature * torch.exp(0.5 * log_variance.gather(1, component))
            return mean.gather(1, component) + deviation * torch.randn_like(deviation)

        return self.net.unroll(self.like.new_empty(n), draw).reshape(n, *self.shape)

    def _parameters_from(
        self, h: Tensor, dtype: torch.dtype, temperature: float = 1.0
    ) -> tuple[Tensor, Tensor, Tensor]:
        logits, mean, log_variance = h.to(dtype).chunk(3, dim=1)
        return (logits / max(temperature, COLDEST)).log_softmax(dim=1), mean, log_variance


def autoregressive_mixture(
    shape: Sequence[int], num_components: int = 10, width: int = 100, num_hidden: int = 2
) -> MixtureMADE:
    """A `MixtureMADE` in the natural order of its dimensions, as the prior of a model with latents.

    Args:
        shape: (Z,).
        num_components: of the mixtures.
        width: units of each hidden layer.
        num_hidden: hidden layers.
    """
    at_least(1, under="model.prior.", num_components=num_components, width=width, num_hidden=num_hidden)
    net = MADENet(math.prod(shape), 3 * num_components, [width] * num_hidden)
    return MixtureMADE(shape, net, num_components)
