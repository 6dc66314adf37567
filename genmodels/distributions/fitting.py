"""The likelihood that fits a kind of data."""

from collections.abc import Sequence

from genmodels.distributions.discretized_logistic import DiscretizedLogistic
from genmodels.distributions.gaussian import Gaussian
from genmodels.distributions.likelihood import Likelihood
from genmodels.distributions.logistic_mixture import LogisticMixture
from genmodels.distributions.pixels import Bernoulli


def fitting_likelihood(shape: Sequence[int], levels: int | None) -> Likelihood:
    """Of pixels with two values a Bernoulli, of others a discretised logistic, of vectors a normal distribution.

    The logistics of one and of three colours are those of PixelCNN++, which joins a pixel's colours.

    Args:
        shape: (C, H, W) of images, (D,) of vectors.
        levels: number of pixel values; None for vectors.
    """
    if levels is None:
        return Gaussian(shape, levels)
    if levels == 2:
        return Bernoulli(shape, levels)
    if shape[0] in (1, 3):
        return LogisticMixture(shape, levels, num_components=1)
    return DiscretizedLogistic(shape, levels, scale="pixel")
