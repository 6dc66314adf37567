"""A Bernoulli around the frequencies of the first batch."""

import pytest
import torch

from genmodels.config.compose import compose
from genmodels.distributions import Bernoulli, CentredBernoulli, StandardNormal
from genmodels.errors import UserError
from genmodels.models import VAE, Diagonal, MLPNetworks
from genmodels.networks.data_init import initialize, needs_initialization
from genmodels.objectives import IWAE
from genmodels.runs.fit import build_parts

SHAPE = (1, 2, 2)


@pytest.fixture
def x() -> torch.Tensor:
    """Pixels that are on never, always, in a quarter and in half of ten thousand images."""
    torch.manual_seed(0)
    x = torch.zeros(10_000, *SHAPE, dtype=torch.uint8)
    x[:, 0, 0, 1], x[:2500, 0, 1, 0], x[:5000, 0, 1, 1] = 1, 1, 1
    return x


@pytest.fixture
def model(x: torch.Tensor) -> VAE:
    """A decoder that gives noughts, initialised from those."""
    model = VAE(SHAPE, 2, MLPNetworks(4, 1), Diagonal(2), StandardNormal([2]), CentredBernoulli(SHAPE, 2))
    for parameter in model.decoder.parameters():
        parameter.data.zero_()
    initialize(model, lambda: IWAE(2)(model, x, None))
    return model


def test_an_untrained_decoder_gives_the_frequencies(model: VAE, x: torch.Tensor) -> None:
    frequencies = torch.tensor([[[0.001, 0.999], [0.25, 0.5]]])
    assert not needs_initialization(model)
    torch.testing.assert_close(model.decode_mean(torch.randn(3, 2)), frequencies.expand(3, *SHAPE))
    torch.testing.assert_close(model.sample(40_000).double().mean(dim=0), frequencies.double(), atol=0.01, rtol=0)
    every = torch.cartesian_prod(*[torch.arange(2)] * 4).view(-1, *SHAPE)
    params = torch.zeros(len(every), *SHAPE)
    scores = model.likelihood.log_prob(params, every).sum(dim=(1, 2))
    torch.testing.assert_close(scores, torch.where(every == 1, frequencies, 1 - frequencies).log().flatten(1).sum(1))
    torch.testing.assert_close(model.likelihood.of_draws(params, every)[0], scores)


def test_it_is_a_bernoulli_whose_outputs_are_moved_and_stays_where_it_was_put(model: VAE) -> None:
    params, x = torch.randn(6, *SHAPE), torch.ones(6, *SHAPE)
    before = model.likelihood.centre.clone()
    expected = Bernoulli(SHAPE, 2).log_prob(params + before, x)
    torch.testing.assert_close(model.likelihood.log_prob(params, x), expected)
    assert torch.equal(model.likelihood.centre, before)
    assert "likelihood.centre" in model.state_dict()
    assert not any(parameter is model.likelihood.centre for parameter in model.parameters())


def test_it_needs_two_values_and_a_model_that_sees_the_whole_image() -> None:
    with pytest.raises(UserError, match=r"needs data of two values, but data\.levels=17"):
        CentredBernoulli(SHAPE, 17)
    choices = ["data=binarized_mnist", "model=pixelcnn_small", "model/likelihood=centred_bernoulli"]
    with pytest.raises(UserError, match=r"model\.likelihood"):
        build_parts(compose(choices))
