"""What the prior says of one latent at a time."""

from torch import Tensor

from genmodels.distributions import Base

_DRAWS = 100_000


def prior_quantiles(prior: Base, probabilities: Tensor) -> Tensor:
    """Each latent's own quantiles, [Q, Z], from 100,000 draws: so for a prior of any kind.

    Args:
        probabilities: [Q].
    """
    draws = prior.sample(_DRAWS).flatten(1).sort(dim=0).values
    return draws[(probabilities.to(draws.device) * (_DRAWS - 1)).round().long()]
