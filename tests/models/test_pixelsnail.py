"""What is special to PixelSNAIL: its size, its sight, its first layer and what it refuses."""

import pytest
import torch

from genmodels.distributions import Categorical, LogisticMixture
from genmodels.errors import UserError
from genmodels.models import PixelSNAIL


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


def test_refuses_several_colours_that_nothing_joins() -> None:
    shape = (3, 4, 4)
    with pytest.raises(UserError, match="model/likelihood=logistic_mixture"):
        PixelSNAIL(shape, Categorical(shape, 4), 1, 1, 6)
