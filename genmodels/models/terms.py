"""What a model with latents says of an example: the terms that its log importance weights are made of."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import Tensor

Gradient = Literal["reparametrised", "sticking", "score"]
"""How the parameters of q enter the terms:

    reparametrised  through the draws and through log q (Kingma & Welling 2014)
    sticking        through the draws alone: log q has its parameters stopped (Roeder et al. 2017)
    score           through log q alone: the draws are constants, as REINFORCE wants it (Williams 1992)
"""


class Terms(NamedTuple):
    """K draws z ~ q(z | x) for each of B examples, and the terms of their log-weights, all in nats.

        log w = log p(x | z) - sum over layers of [log q(z_l | ...) - log p(z_l | ...)]

    Attributes:
        log_likelihood: log p(x | z), [K, B].
        log_ratios: for each layer of latents the bracket, [K, B, U]; over U units where it comes apart, else U = 1.
        kls: for each layer the bracket's expectation KL(q || p), [B, U'], in closed form where there is one, else the
            mean of `log_ratios` over the draws.
        log_posterior: log q(z | x), all layers together, [K, B].
        latents: z of each layer, [K, B, ...]; every path from the draws to the other terms leads through them.
    """

    log_likelihood: Tensor
    log_ratios: Sequence[Tensor]
    kls: Sequence[Tensor]
    log_posterior: Tensor
    latents: Sequence[Tensor]

    @property
    def log_weights(self) -> Tensor:
        """log w, [K, B]."""
        log_weights = self.log_likelihood
        for log_ratio in self.log_ratios:
            log_weights = log_weights - log_ratio.sum(dim=-1)
        return log_weights
