"""Who offers what, and the words for a promise that is kept in part."""

import pytest
import torch
from torch import Tensor, nn

from genmodels.distributions import Categorical
from genmodels.errors import UserError
from genmodels.models import NICE, PixelCNN
from genmodels.models.capabilities import CAPABILITIES, contract_errors, offered, required
from genmodels.models.contract import (
    AdversarialPair,
    Decodes,
    Density,
    Invertible,
    Latent,
    LatentSampler,
    PixelByPixel,
    SampledDensity,
    Sampler,
    Stepwise,
)
from genmodels.models.model import Model

SHAPE = (1, 4, 4)


class Empty(Model):
    def __init__(self) -> None:
        super().__init__()
        self.shape, self.levels = SHAPE, 17


class Pair(Empty):
    def __init__(self) -> None:
        super().__init__()
        self.generator, self.discriminator = nn.Linear(2, 16), nn.Linear(16, 1)
        self.mixes_batch = False

    def latents(self, n: int) -> Tensor:
        return torch.zeros(n, 2)

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.generator(z).view(-1, *SHAPE)

    def scaled(self, x: Tensor) -> Tensor:
        return x.float()

    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return self.decode(self.latents(n))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.generate(z).byte()


class NoExact(Empty):
    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x.sum()


class Cold(Empty):
    def sample(self, n: int, y: Tensor | None = None) -> Tensor:
        return torch.zeros(n)


class Counting(Empty):
    """It draws, but calls its number of draws by a name of its own."""

    def sample(self, count: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return torch.zeros(count)


class OnlyEncodes(Empty):
    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x


class NoShape(Model):
    def __init__(self) -> None:
        super().__init__()
        self.levels = None


class OrderOfItsOwn(Empty):
    """Draws as every model does, and calls something else its order."""

    order = 3

    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return torch.zeros(n)


def _offered(model: Model) -> set[type]:
    return {capability for capability in CAPABILITIES if offered(model, capability) is not None}


def test_families_offer_what_they_are() -> None:
    flow = NICE(SHAPE, 17, 2, 1, 4)
    assert _offered(flow) == {Density, Sampler, Decodes, Latent, Invertible, SampledDensity}
    pixels = PixelCNN(SHAPE, Categorical(SHAPE, 17), 1, 4)
    assert _offered(pixels) == {Density, Sampler, Stepwise, PixelByPixel}
    assert _offered(Pair()) == {AdversarialPair, Sampler, Decodes, LatentSampler}
    assert _offered(Empty()) == set()
    assert all(list(contract_errors(model)) == [] for model in (flow, pixels, Pair(), Empty()))


def test_what_cannot_be_called_is_not_offered() -> None:
    assert _offered(Cold()) == set()
    assert _offered(OrderOfItsOwn()) == {Sampler}
    assert list(contract_errors(OrderOfItsOwn())) == []


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (NoExact(), "NoExact does not set exact: a Density has it"),
        (
            Cold(),
            "Cold.sample does not take temperature: its arguments have to be (n, y, temperature)",
        ),
        (Counting(), "Counting.sample does not take n: its arguments have to be (n, y, temperature)"),
        (OnlyEncodes(), "OnlyEncodes does not set decode: a Latent has it"),
        (NoShape(), "NoShape does not set self.shape: it has to be the data's"),
        (nn.Linear(1, 1), "Linear is no genmodels.models.Model: derive the class from it"),
    ],
)
def test_a_promise_kept_in_part_is_told(model: nn.Module, sentence: str) -> None:
    assert list(contract_errors(model)) == [sentence]


def test_who_needs_it_says_so() -> None:
    flow = NICE(SHAPE, 17, 2, 1, 4)
    assert required(flow, Latent, "interpolate=true") is flow
    with pytest.raises(UserError, match=r"needs a model with latents \(decode, encode\), and Pair is none"):
        required(Pair(), Latent, "interpolate=true")
