"""Penalties against numbers by hand, their gradients against finite differences."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from genmodels.errors import UserError
from genmodels.models import DCGAN, GAN
from genmodels.objectives import R1, Consistency, GradientPenalty, Hinge, Penalty, WeightClipping

DOUBLE = torch.float64


def linear(x: Tensor) -> Tensor:
    """Its gradient is (3, 4) everywhere."""
    return x @ x.new_tensor([3.0, 4.0])


def square(x: Tensor) -> Tensor:
    """Its gradient is 2 x."""
    return x.square().sum(1)


def noise(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


@pytest.mark.parametrize(
    ("penalty", "value"),
    [
        (GradientPenalty(), 10 * (5 - 1) ** 2),
        (GradientPenalty(weight=2, target=0), 2 * 25),
        (R1(), 10 / 2 * 25),
        (R1(gamma=0.5, every=16), 0.5 / 2 * 25),  # who calls it multiplies
    ],
)
def test_of_a_linear_critic(penalty: Penalty, value: float) -> None:
    found = penalty(linear, noise(3), noise(3, 1))
    assert found is not None
    assert found.item() == pytest.approx(value)


def test_r1_is_at_the_data() -> None:
    real = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    assert R1(gamma=2)(square, real, noise(2).float()).item() == pytest.approx((4 + 36) / 2)


def test_every_image_has_a_point_of_its_own_between_data_and_samples() -> None:
    """Uniform on the way from sample (0, 0, ...) to data (1, 1, ...), one share for all of an image's pixels."""
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    torch.manual_seed(0)
    GradientPenalty()(critic, torch.ones(10_000, 3, 2, 2), torch.zeros(10_000, 3, 2, 2))
    shares = seen[0].flatten(1)
    assert torch.equal(shares, shares[:, :1].expand_as(shares))
    assert shares[:, 0].unique().numel() > 9_900
    quantiles = torch.quantile(shares[:, 0], torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(quantiles, torch.tensor([0.25, 0.5, 0.75]), atol=0.02, rtol=0)


def test_norms_are_taken_before_the_mean() -> None:
    """Gradients (2, 0) and (0, 0) at points that stay where they are: not those of their mean, nor of them together."""
    points = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert GradientPenalty(weight=1)(square, points, points).item() == pytest.approx(((2 - 1) ** 2 + (0 - 1) ** 2) / 2)


def critic_of(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0)).double()


@pytest.mark.parametrize("penalty", [GradientPenalty(), GradientPenalty(target=0), R1()])
def test_the_critics_weights_get_the_right_gradient(penalty: Penalty) -> None:
    """Of the gradient of the score: the second derivative, by finite differences of the penalty."""
    critic = critic_of()
    weights = {name: value.detach().requires_grad_() for name, value in critic.named_parameters()}

    def value(*given: Tensor) -> Any:
        torch.manual_seed(1)  # the same shares
        named = dict(zip(weights, given, strict=True))
        return penalty(lambda x: functional_call(critic, named, (x,)), noise(4), noise(4, 1))

    assert torch.autograd.gradcheck(value, tuple(weights.values()))


@pytest.mark.parametrize("penalty", [GradientPenalty(), R1(), GradientPenalty(target=0)])
def test_a_critic_without_slope_has_a_finite_gradient(penalty: Penalty) -> None:
    """All units off: a norm by way of a square root would give nan."""
    critic = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1), nn.Flatten(0)).double()
    with torch.no_grad():
        critic[0].bias.fill_(-100)
    found = penalty(critic, noise(4), noise(4, 1))
    assert found is not None
    found.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in critic.parameters())


def test_clipping_cuts_weights_and_adds_nothing() -> None:
    clipping, critic = WeightClipping(0.25), nn.Linear(2, 2)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[0.1, -0.2], [0.3, -7.0]]))
        critic.bias.copy_(torch.tensor([0.25, -0.26]))
    clipping.after_step(critic)
    assert critic.weight.tolist() == [[pytest.approx(v) for v in row] for row in [[0.1, -0.2], [0.25, -0.25]]]
    assert critic.bias.tolist() == [0.25, -0.25]
    assert clipping(linear, noise(2), noise(2)) is None


def test_a_mirrored_and_shifted_image_is_to_score_the_same() -> None:
    """A critic that sees the first column alone: a flip costs it (4 - 1)^2 on this image, in half of the cases."""

    def critic(x: Tensor) -> Tensor:
        return x[:, 0, :, 0].mean(1)

    image = torch.arange(1.0, 5).expand(4000, 1, 3, 4)
    torch.manual_seed(0)
    costs = Consistency(weight=1.0, shift=0)(critic, image, image)
    assert costs.item() == pytest.approx(9 / 2, rel=0.05)
    shifts = Consistency(weight=3.0, shift=1, flip=False)(critic, image, image)  # the column 2 comes in on both sides
    assert shifts.item() == pytest.approx(3 * 1 * 2 / 3, rel=0.05)


def test_both_scores_of_consistency_are_trained() -> None:
    """d/dw of (w a - w b)^2 is 2 w (a - b)^2."""
    weight = torch.tensor(0.5, requires_grad=True)
    image = torch.tensor([[[[1.0, 4.0]]]])
    torch.manual_seed(0)
    values = []
    for _ in range(20):
        value = Consistency(weight=1.0, shift=0)(lambda x: weight * x[:, 0, 0, 0], image, image)
        (slope,) = torch.autograd.grad(value, weight)
        values.append(round(slope.item(), 4))
    assert set(values) == {0.0, 2 * 0.5 * 9}


@pytest.mark.parametrize("penalty", [GradientPenalty(), R1()])
def test_a_critic_with_batch_norm_is_refused(penalty: Penalty) -> None:
    Hinge(penalty=penalty).check(DCGAN((1, 8, 8), 17, width=4, num_scales=2, critic_norm="none"))
    with pytest.raises(
        UserError, match=r"needs a critic that scores each image by itself, and DCGAN's mixes its batch"
    ):
        Hinge(penalty=penalty).check(DCGAN((1, 8, 8), 17, width=4, num_scales=2))


def test_consistency_is_for_images() -> None:
    with pytest.raises(UserError, match="objective/penalty=consistency is for images"):
        Hinge(penalty=Consistency()).check(GAN((2,), None))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: GradientPenalty(weight=-1), r"objective\.penalty\.weight must be at least 0, got -1"),
        (lambda: GradientPenalty(target=-1), r"objective\.penalty\.target must be at least 0"),
        (lambda: R1(gamma=-1), r"objective\.penalty\.gamma must be at least 0"),
        (lambda: R1(every=0), r"objective\.penalty\.every must be at least 1"),
        (lambda: WeightClipping(0), r"objective\.penalty\.bound must be above 0"),
        (lambda: Consistency(weight=-1), r"objective\.penalty\.weight must be at least 0"),
        (lambda: Consistency(shift=-1), r"objective\.penalty\.shift must be at least 0"),
        (lambda: Consistency(shift=0, flip=False), r"leave images as they are"),
        (lambda: Hinge(critic_steps=0), r"objective\.critic_steps must be at least 1, got 0"),
        (lambda: Hinge(generator_batch=0), r"objective\.generator_batch must be at least 1, got 0"),
    ],
)
def test_numbers_out_of_range(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        make()
