"""What is special to the Parallel Multiscale PixelCNN: its groups, its order, and how few steps it takes."""

import pytest
import torch

from genmodels.distributions import Categorical, LogisticMixture, PixelLikelihood
from genmodels.errors import UserError
from genmodels.models import MultiscalePixelCNN, PixelCNN


def _model(
    likelihood: type[PixelLikelihood] = Categorical, shape: tuple[int, int, int] = (1, 8, 8), base: int = 2
) -> MultiscalePixelCNN:
    torch.manual_seed(0)
    return MultiscalePixelCNN(shape, likelihood(shape, 4), base, 1, 1, 6).double().eval()


def test_the_order_of_the_groups_in_an_8x8_image() -> None:
    """Four pixels of the 2x2 image one by one, then three groups for 4x4, then three for 8x8."""
    expected = [
        [0, 7, 4, 7, 1, 7, 4, 7],
        [8, 9, 8, 9, 8, 9, 8, 9],
        [5, 7, 6, 7, 5, 7, 6, 7],
        [8, 9, 8, 9, 8, 9, 8, 9],
        [2, 7, 4, 7, 3, 7, 4, 7],
        [8, 9, 8, 9, 8, 9, 8, 9],
        [5, 7, 6, 7, 5, 7, 6, 7],
        [8, 9, 8, 9, 8, 9, 8, 9],
    ]
    assert _model().order.tolist() == [expected]


@pytest.mark.parametrize(("likelihood", "steps_of_a_pixel"), [(Categorical, 3), (LogisticMixture, 1)])
def test_steps_grow_with_the_logarithm_of_the_side(likelihood: type[PixelLikelihood], steps_of_a_pixel: int) -> None:
    steps = [_model(likelihood, (3, side, side), base=4).num_steps for side in (4, 8, 16, 32, 64)]
    assert steps == [(16 + 3 * doublings) * steps_of_a_pixel for doublings in range(5)]


def test_a_colour_sees_earlier_groups_and_of_its_own_group_its_own_pixel_alone() -> None:
    model = _model(shape=(3, 4, 4), base=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    x = torch.randint(0, 4, (1, 3, 4, 4)).double().requires_grad_()
    logits = model.conditionals(x)[0].unflatten(0, (4, 3))
    corners = torch.tensor([[0, 1], [2, 3]]).repeat(2, 2)
    for colour, row, column in ((1, 0, 3), (2, 3, 0), (0, 1, 1), (2, 3, 3)):
        (gradient,) = torch.autograd.grad(logits[:, colour, row, column].square().sum(), x, retain_graph=True)
        expected = (corners < corners[row, column]).repeat(3, 1, 1)
        expected[:colour, row, column] = True
        assert torch.equal(gradient[0] != 0, expected)


def test_its_smallest_image_is_a_pixelcnn() -> None:
    """Where nothing is doubled, it is that PixelCNN; where something is, the marginal of the smallest image is."""
    model = _model(shape=(1, 4, 4), base=4)
    x = torch.randint(0, 4, (3, 1, 4, 4))
    torch.testing.assert_close(model.log_prob(x), model.base.log_prob(x))
    model = _model(shape=(1, 2, 2), base=1)
    rest = torch.cartesian_prod(*[torch.arange(4)] * 3)
    for value in range(4):
        images = torch.cat((torch.full((64, 1), value), rest), dim=1).view(64, 1, 2, 2)
        expected = model.base.log_prob(torch.tensor([[[[value]]]]))
        torch.testing.assert_close(model.log_prob(images).logsumexp(0, keepdim=True), expected)


def test_the_likelihood_is_that_of_the_conditionals() -> None:
    model = _model(shape=(3, 8, 8))
    x = torch.randint(0, 4, (3, 3, 8, 8))
    expected = model.likelihood.log_prob(model.conditionals(x), x).flatten(1).sum(dim=1)
    torch.testing.assert_close(model.log_prob(x), expected)


def _count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_parameters_at_the_size_for_imagenet32() -> None:
    """Counted by hand: three scales of three groups, on top of the PixelCNN."""
    shape = (3, 32, 32)
    with torch.device("meta"):
        model = MultiscalePixelCNN(shape, Categorical(shape, 256))
        base = PixelCNN((3, 4, 4), Categorical(shape, 256), 5, 64, 128)
    w = 129  # 128 rounded up to a multiple of three colours

    def of_group(earlier: int) -> int:
        blocks = 6 * 2 * (9 * w * w + w)
        return (9 * 3 * earlier * w + w) + blocks + (3 * w + w) + (w * w + w) + (w * 768 + 768)

    assert _count(model) == _count(base) + 3 * sum(of_group(earlier) for earlier in (1, 2, 3))


@pytest.mark.parametrize(
    ("size", "base", "remedy"),
    [((28, 28), 4, "base=7"), ((32, 32), 3, "base=4"), ((24, 24), 4, "base=3"), ((8, 16), 4, "square")],
)
def test_sizes_that_do_not_double_are_refused_with_a_remedy(size: tuple[int, int], base: int, remedy: str) -> None:
    with pytest.raises(UserError, match=remedy):
        _model(shape=(1, *size), base=base)
    if remedy.startswith("base="):
        _model(shape=(1, *size), base=int(remedy[5:]))


def test_given_pixels_of_the_smallest_image_are_kept() -> None:
    model = _model(shape=(1, 8, 8), base=2)
    given = torch.randint(0, 4, (5, 1, 8, 8), dtype=torch.uint8)
    known = torch.zeros(8, 8, dtype=torch.bool)
    known[::4, ::4] = True
    drawn = model.sample(5, given=given, known=known)
    assert torch.equal(drawn[:, :, known], given[:, :, known])
    assert not torch.equal(drawn, given)
