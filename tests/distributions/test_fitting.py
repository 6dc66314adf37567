"""Which likelihood fits which data."""

import pytest

from genmodels.distributions import (
    Bernoulli,
    DiscretizedLogistic,
    Gaussian,
    Likelihood,
    LogisticMixture,
    fitting_likelihood,
)


@pytest.mark.parametrize(
    ("shape", "levels", "kind", "parameters"),
    [
        ((5,), None, Gaussian, (10,)),
        ((3, 4, 6), 2, Bernoulli, (3, 4, 6)),
        ((1, 4, 6), 17, LogisticMixture, (3, 4, 6)),
        ((3, 4, 6), 256, LogisticMixture, (10, 4, 6)),
        ((2, 4, 6), 256, DiscretizedLogistic, (4, 4, 6)),
    ],
)
def test_the_likelihood_that_fits(
    shape: tuple[int, ...], levels: int | None, kind: type[Likelihood], parameters: tuple[int, ...]
) -> None:
    likelihood = fitting_likelihood(shape, levels)
    assert type(likelihood) is kind
    assert (likelihood.shape, likelihood.params_shape) == (shape, parameters)
