"""The posterior of inverse autoregressive flow (Kingma et al., NIPS 2016, arXiv:1606.04934)."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.bijections import Autoregressive, Bijection, Compose, Elementwise, Inverse
from genmodels.models.vaes.flow_posterior import FlowPosterior
from genmodels.networks.made_net import MADENet
from genmodels.ranges import at_least

_OPEN = 1.5  # "initialised so that s is sufficiently positive, such as close to +1 or +2" (Section 4)


class IAFPosterior(FlowPosterior):
    """z_t = sigma_t z_{t-1} + (1 - sigma_t) m_t,   (m_t, s_t) = MADE_t(z_{t-1}, h(x)),   sigma_t = sigmoid(s_t)

    for t = 1 .. T, z_0 diagonal normal (Equations 10 to 14, Algorithm 1); the order of the latents is reversed from
    step to step. Draws and their densities take one pass for each step, the density of given latents as many as there
    are latents. The bias of s starts at 1.5, which leaves z nearly as it is.

    Args:
        num_latents: Z.
        num_steps: T.
        hidden: widths of the hidden layers of each MADE; [320] to [1920, 1920] in the paper, ELU there.
        context_features: size of h; 0 for none.
        activation: of the hidden units.
    """

    def __init__(
        self,
        num_latents: int,
        num_steps: int = 2,
        hidden: Sequence[int] = (320,),
        context_features: int = 64,
        activation: Literal["relu", "tanh", "elu"] = "elu",
    ) -> None:
        under = "model.posterior."
        at_least(1, under=under, num_latents=num_latents, num_steps=num_steps, hidden=hidden)
        at_least(0, under=under, context_features=context_features)
        steps: list[Bijection] = []
        for step in reversed(range(num_steps)):  # drawing goes through the last of a stack first
            order = torch.arange(num_latents)
            net = MADENet(
                num_latents, 2, hidden, order.flip(0) if step % 2 else order, "sequential", activation, context_features
            )
            with torch.no_grad():
                net.output_bias[num_latents:] += _OPEN
            steps.append(Inverse(Autoregressive(net, GatedMean())))
        super().__init__(num_latents, Compose(steps), context_features)


class GatedMean(Elementwise):
    """z = sigma x + (1 - sigma) m with h = (m, s), sigma = sigmoid(s): the "numerically stable" step of IAF.

    Kingma et al. 2016, Equations 13 and 14.
    """

    num_parameters = 2

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, raw = h.to(x.dtype).chunk(2, dim=1)
        return torch.lerp(mean, x, torch.sigmoid(raw)), F.logsigmoid(raw)

    def inverse(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, raw = h.to(z.dtype).chunk(2, dim=1)
        # x = m + (z - m) / sigma, and 1 / sigmoid(s) = 1 + exp(-s).
        return mean + (z - mean) * (1 + torch.exp(-raw)), -F.logsigmoid(raw)
