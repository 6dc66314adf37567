"""Priors of latents that are normalizing flows or autoregressive models themselves."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from genmodels.bijections import Bijection, Compose
from genmodels.distributions import Base, MixtureMADE, StandardNormal
from genmodels.models.flows.made_stack import gaussian_layers
from genmodels.networks.made_net import MADENet
from genmodels.ranges import at_least


class FlowPrior(Base):
    """p(z) = N(f(z); 0, I) |det df/dz|; by default f is a MAF, the "AF prior" of Chen et al. 2017 (VLAE, Section 3.2).

    Args:
        shape: (Z,).
        bijection: f, of vectors [B, Z]; None: the MAF.
        num_layers: MADEs of the MAF, the order of the latents reversed from one to the next.
        hidden: widths of the hidden layers of each.
    Raises:
        UserError: a number is out of its range.
    """

    def __init__(
        self,
        shape: Sequence[int],
        bijection: Bijection | None = None,
        num_layers: int = 2,
        hidden: Sequence[int] = (128,),
    ) -> None:
        at_least(1, under="model.prior.", num_layers=num_layers, hidden=hidden)
        super().__init__(shape)
        self.noise = StandardNormal(shape)
        self.bijection = bijection or Compose(gaussian_layers(shape[0], num_layers, hidden, "relu", classes=0))

    def log_prob(self, z: Tensor) -> Tensor:
        noise, log_det = self.bijection(z)
        return self.noise.log_prob(noise) + log_det

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        return self.bijection.inverse(self.noise.sample(n, temperature))[0]


class AutoregressivePrior(MixtureMADE):
    """p(z) = prod_i p(z_i | z_1 .. z_{i-1}), each a mixture of normals from a MADE, see `MixtureMADE`.

    Args:
        shape: (Z,).
        num_components: of each mixture.
        hidden: widths of the MADE's hidden layers.
        activation: of the hidden units.
    Raises:
        UserError: a number is out of its range.
    """

    def __init__(
        self,
        shape: Sequence[int],
        num_components: int = 5,
        hidden: Sequence[int] = (128,),
        activation: Literal["relu", "tanh", "elu"] = "relu",
    ) -> None:
        at_least(1, under="model.prior.", num_components=num_components, hidden=hidden)
        net = MADENet(shape[0], 3 * num_components, hidden, torch.arange(shape[0]), "sequential", activation)
        super().__init__(shape, net, num_components)
