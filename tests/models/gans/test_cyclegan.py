"""CycleGAN: sizes, domains, and what its pictures are made of."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.models import CycleGAN
from genmodels.models.gans.translations import first_of_each, there_and_back


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_counts_are_those_of_the_official_code() -> None:
    with torch.device("meta"):
        model = CycleGAN((3, 256, 256), 256, 2)
    assert [count(net) for net in model.generators] == 2 * [11_378_179]
    assert [count(net) for net in model.discriminators] == 2 * [2_764_737]


@pytest.mark.parametrize(("side", "layers"), [(8, 1), (12, 2), (28, 3), (32, 3), (256, 3)])
def test_critics_are_as_deep_as_images_allow(side: int, layers: int) -> None:
    model = CycleGAN((1, side, side), 256, 2, width=2, num_blocks=1, critic_width=2)
    assert model.chosen == {"critic_layers": layers}
    x = torch.randn(2, 1, side, side)
    assert model.generators[0](x).shape == x.shape
    assert model.discriminators[0](x).shape[:2] == (2, 1)


@pytest.mark.parametrize(
    ("shape", "classes", "domains", "sentence"),
    [
        ((1, 30, 30), 2, (0, 1), "sides that 4 divides, of 8 at least, not 30x30"),
        ((1, 4, 4), 2, (0, 1), "not 4x4"),
        ((1, 8, 8), None, (0, 1), r"data\.num_classes is null"),
        ((1, 8, 8), 2, (0, 2), r"two different classes of 0 \.\. 1, got \[0, 2\]"),
        ((1, 8, 8), 2, (1, 1), r"got \[1, 1\]"),
    ],
)
def test_what_does_not_fit_is_refused(
    shape: Sequence[int], classes: int | None, domains: Sequence[int], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        CycleGAN(shape, 256, classes, domains)


def test_a_critic_that_is_too_deep_is_refused() -> None:
    with pytest.raises(UserError, match="critic_layers=2 does not fit 8x8 images: take 1 or less"):
        CycleGAN((1, 8, 8), 256, 2, critic_layers=2)


class _Constant(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return torch.full_like(x, self.value)


def test_translations_go_into_the_domain_that_is_named() -> None:
    """From -1 to 1 are all values of a pixel."""
    model = CycleGAN((1, 8, 8), 17, 10, (3, 8), width=2, num_blocks=1, critic_width=2)
    model.generators = nn.ModuleList([_Constant(-1.0), _Constant(0.5)])
    x = torch.randint(17, (2, 1, 8, 8), dtype=torch.uint8)
    assert model.translate(x, 0).unique().tolist() == [0]
    assert model.translate(x, 1).unique().tolist() == [12]
    assert model.translate(x, 1).dtype == torch.uint8
    seen = model.floats(torch.tensor([0, 8, 16]))
    assert seen.tolist() == [-1, 0, 1]


class _Marks:
    """Marks by -1 and 1 to which domain it translates."""

    domains = (3, 8)

    def translate(self, x: Tensor, to: int) -> Tensor:
        return 10 * x + 1 + to


def test_rows_are_images_their_translations_and_these_back() -> None:
    batches = [(torch.arange(6.0).view(6, 1, 1, 1), torch.tensor([8, 3, 5, 3, 3, 8]))]
    first, second = first_of_each((3, 8), batches, 4)
    assert (first.flatten().tolist(), second.flatten().tolist()) == ([1, 3], [0, 5])
    assert first_of_each((3, 8), batches * 2, 1)[0].flatten().tolist() == [1]
    rows = there_and_back(_Marks(), (first, second)).view(6, 2).tolist()
    assert rows == [[1, 3], [12, 32], [121, 321], [0, 5], [1, 51], [12, 512]]


def test_a_domain_without_images_is_told() -> None:
    with pytest.raises(UserError, match="no image of class 8"):
        first_of_each((3, 8), [(torch.zeros(2, 1), torch.tensor([3, 5]))], 2)
