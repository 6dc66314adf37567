"""The likelihood that fits a kind of data."""

from collections.abc import Sequence

from genmodels.distributions.gaussian import Gaussian
from genmodels.distributions.likelihood import Likelihood
from genmodels.distributions.logistic_mixture import LogisticMixture
from genmodels.distributions.pixels import Bernoulli, Categorical


def fitting_likelihood(shape: Sequence[int], levels: int | None) -> Likelihood:
    """Of pixels with two values a Bernoulli, of others a discretised logistic, of vectors a normal distribution.

    Args:
        shape: (C, H, W) of images, (D,) of vectors.
        levels: number of pixel values; None for vectors.
    """
    if levels is None:
        return Gaussian(shape, levels)
    if levels == 2:
        return Bernoulli(shape, levels)
    return LogisticMixture(shape, levels, 1) if shape[0] in (1, 3) else Categorical(shape, levels)
