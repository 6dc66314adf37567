"""What is special to PixelSNAIL: its size, its sight, its first layer and what it refuses."""

import pytest
import torch

from genmodels.distributions import Categorical, LogisticMixture
from genmodels.errors import UserError
from genmodels.models import PixelSNAIL
from genmodels.networks.data_init import initialize


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("num_components", "parameters"), [(10, 46_180_788), (32, 46_237_548)])
def test_has_the_official_number_of_parameters(num_components: int, parameters: int) -> None:
    shape = (3, 32, 32)
    with torch.device("meta"):
        model = PixelSNAIL(shape, LogisticMixture(shape, 256, num_components))
    assert sum(p.numel() for p in model.parameters()) == parameters
    attention = model.blocks[0].attention
    assert (attention.see.first.weight.shape[0], attention.ask.first.weight.shape[0]) == (265, 262)


def test_the_class_matters_everywhere_in_all_ways_to_sample() -> None:
    shape = (3, 4, 4)
    model = PixelSNAIL(shape, LogisticMixture(shape, 9, 2), 2, 1, 6, 3, conditional=True, num_classes=3).double()
    x, y = torch.randint(0, 9, (16, *shape)), torch.arange(3)
    initialize(model, lambda: model.log_prob(x, torch.arange(16) % 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter)).mul_(1.5)
    model.eval()
    params = model.conditionals(x[:1].expand(3, -1, -1, -1), y)
    assert all((params[i] != params[j]).any(dim=0).all() for i, j in ((0, 1), (0, 2), (1, 2)))
    noise = torch.rand(1, 4, 4, 4, dtype=torch.float64).expand(3, -1, -1, -1)
    naive, cached, jacobi = (model.sample(3, y, noise=noise, method=method) for method in ("naive", "cached", "jacobi"))
    assert torch.equal(naive, cached)
    assert torch.equal(naive, jacobi)
    assert len(naive.flatten(1).unique(dim=0)) == 3


def test_every_gated_block_takes_the_class() -> None:
    shape = (3, 4, 4)
    model = PixelSNAIL(shape, LogisticMixture(shape, 9, 2), 2, 1, 6, 3, conditional=True, num_classes=3)
    model.log_prob(torch.randint(0, 9, (6, *shape)), torch.arange(6) % 3).sum().backward()
    labels = [p for name, p in model.named_parameters() if name.endswith("label.weight")]
    assert len(labels) == 2 * (1 + 3)  # in each block of the network its residual block and three for attention
    assert all((p.grad != 0).any(dim=0).all() for p in labels)


def test_refuses_several_colours_that_nothing_joins() -> None:
    shape = (3, 4, 4)
    with pytest.raises(UserError, match="model/likelihood=logistic_mixture"):
        PixelSNAIL(shape, Categorical(shape, 4), 1, 1, 6)


def test_dropout_is_a_probability_below_one() -> None:
    shape = (1, 4, 4)
    with pytest.raises(UserError, match=r"model\.dropout"):
        PixelSNAIL(shape, Categorical(shape, 2), 1, 1, 4, 2, dropout=1.0)
