"""Losses against numbers by hand, and against what theory says of the players who minimise them."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from genmodels.objectives import (
    Adversarial,
    GradientPenalty,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Wasserstein,
    WeightClipping,
)

REAL, FAKE = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0, 0.0])


def log_sigmoid(score: float) -> float:
    return -math.log1p(math.exp(-score))


def mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


CROSS_ENTROPY = -mean([log_sigmoid(2), log_sigmoid(-1)]) - mean([log_sigmoid(-0.5), log_sigmoid(3), log_sigmoid(0)])


@pytest.mark.parametrize(
    ("game", "critic", "generator"),
    [
        (Minimax(), CROSS_ENTROPY, mean([log_sigmoid(-0.5), log_sigmoid(3), log_sigmoid(0)])),
        (NonSaturating(), CROSS_ENTROPY, -mean([log_sigmoid(0.5), log_sigmoid(-3), log_sigmoid(0)])),
        (LeastSquares(), ((1 + 4) / 2 + (0.25 + 9) / 3) / 2, (0.25 + 16 + 1) / 3 / 2),
        (Hinge(), (0 + 2) / 2 + (1.5 + 0 + 1) / 3, -(0.5 - 3) / 3),
        (Wasserstein(), (0.5 - 3) / 3 - 0.5, -(0.5 - 3) / 3),
    ],
)
def test_losses_of_a_few_scores(game: Adversarial, critic: float, generator: float) -> None:
    assert game.critic_loss(REAL, FAKE).item() == pytest.approx(critic, rel=1e-6)
    assert game.generator_loss(FAKE).item() == pytest.approx(generator, rel=1e-6)


def test_only_the_minimax_generator_learns_nothing_from_a_critic_that_is_sure() -> None:
    slopes = {}
    for game in (Minimax(), NonSaturating()):
        score = torch.tensor([-200.0], requires_grad=True)
        game.generator_loss(score).backward()
        slopes[type(game)] = score.grad.item() if score.grad is not None else math.nan
    assert slopes == {Minimax: pytest.approx(0, abs=1e-30), NonSaturating: -1}


# ---- on four points, whose probabilities are known

DATA = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
MODEL = torch.tensor([0.1, 0.2, 0.2, 0.5], dtype=torch.float64)
SHARE = DATA / (DATA + MODEL)
TWENTY = [(round(20 * p) * [point]) for p, point in zip(DATA.tolist(), range(4), strict=True)]
REALS = torch.tensor(list(itertools.chain(*TWENTY)))
FAKES = torch.tensor([point for point, p in enumerate(MODEL.tolist()) for _ in range(round(20 * p))])


def best_scores(game: Adversarial, steps: int = 3000, rate: float = 1.0) -> Tensor:
    """A table of scores that descends the critic's loss on all of data and model."""
    table = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    for step in range(steps):
        loss = game.critic_loss(table[REALS], table[FAKES])
        (slope,) = torch.autograd.grad(loss, table)
        with torch.no_grad():
            table -= rate * (1 - step / steps) * slope
    return table.detach()


@pytest.mark.parametrize(
    ("game", "optimum"),
    [
        (Minimax(), torch.logit(SHARE)),
        (NonSaturating(), torch.logit(SHARE)),
        (LeastSquares(), SHARE),
    ],
)
def test_the_best_critic_tells_how_much_likelier_data_is(game: Adversarial, optimum: Tensor) -> None:
    """D = p / (p + q), Goodfellow et al. 2014, Proposition 1; least squares has it as its score (a = 0, b = 1)."""
    torch.testing.assert_close(best_scores(game), optimum, rtol=1e-4, atol=1e-5)


def test_the_best_hinge_critic_decides_and_its_loss_is_the_overlap() -> None:
    """1 where data is likelier, -1 where samples are; then the loss is twice the sum of the smaller probabilities."""
    scores = best_scores(Hinge())
    assert scores[[0, 1, 3]].tolist() == pytest.approx([1, 1, -1], abs=1e-2)
    assert -1 <= scores[2] <= 1  # as likely
    loss = Hinge().critic_loss(scores[REALS], scores[FAKES]).item()
    assert loss == pytest.approx(2 * torch.minimum(DATA, MODEL).sum().item(), abs=1e-2)


def test_against_the_best_critic_the_game_is_worth_the_jensen_shannon_divergence() -> None:
    """2 JSD(p, q) - log 4, Theorem 1; the generator's part of it is its minimax loss."""
    scores = torch.logit(SHARE)
    middle = (DATA + MODEL) / 2
    divergence = ((DATA * (DATA / middle).log()).sum() + (MODEL * (MODEL / middle).log()).sum()) / 2
    game = Minimax()
    value = -game.critic_loss(scores[REALS], scores[FAKES])
    assert value.item() == pytest.approx(2 * divergence.item() - math.log(4))
    of_data = (DATA * SHARE.log()).sum()
    assert game.generator_loss(scores[FAKES]).item() == pytest.approx((value - of_data).item())


# ---- a distance


def trained(
    critic: nn.Module, loss: Callable[[], Tensor], after: Callable[[], None] = lambda: None, steps: int = 800
) -> None:
    optimizer = torch.optim.Adam(critic.parameters(), lr=5e-3, betas=(0.5, 0.9))
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        after()


def perceptron() -> nn.Sequential:
    """In the plane: on a line the penalty would keep a slope from turning, and so a critic that begins wrong, wrong."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1), nn.Flatten(0))


def on_a_line(*places: float) -> Tensor:
    """32 points in the plane."""
    return torch.tensor([[place, 0.0] for place in places]).repeat(32 // len(places), 1)


def test_a_wasserstein_critic_measures_how_far_apart_two_points_are() -> None:
    """2.5, times 1 + 2.5 / 20: distance * slope - weight * (slope - 1)^2 is largest at a slope somewhat too steep."""
    critic, game, penalty = perceptron(), Wasserstein(), GradientPenalty(weight=10)
    real, fake = on_a_line(1.5), on_a_line(-1.0)
    trained(critic, lambda: game.critic_loss(critic(real), critic(fake)) + penalty(critic, real, fake))
    gap = -game.critic_loss(critic(real), critic(fake)).item()
    assert gap == pytest.approx(2.5 * (1 + 2.5 / 20), rel=0.03)


def test_between_two_pairs_of_points_it_takes_the_cheaper_way() -> None:
    """From {0, 3} to {1, 5}, half each: 1 and 2, in the mean 1.5."""
    critic, game, penalty = perceptron(), Wasserstein(), GradientPenalty(weight=100)
    real, fake = on_a_line(1.0, 5.0), on_a_line(0.0, 3.0)

    def loss() -> Tensor:
        paired = fake[torch.randperm(len(fake))]
        return game.critic_loss(critic(real), critic(fake)) + penalty(critic, real, paired)

    trained(critic, loss)
    assert -game.critic_loss(critic(real), critic(fake)).item() == pytest.approx(1.5, rel=0.1)


@pytest.mark.parametrize("distance", [0.5, 1.0])
def test_with_clipped_weights_it_measures_a_multiple(distance: float) -> None:
    """Of a single weight: the bound."""
    critic, game, clipping = nn.Sequential(nn.Linear(1, 1), nn.Flatten(0)), Wasserstein(), WeightClipping(0.1)
    real, fake = torch.full((8, 1), distance), torch.zeros(8, 1)
    trained(
        critic, lambda: game.critic_loss(critic(real), critic(fake)), lambda: clipping.after_step(critic), steps=300
    )
    assert -game.critic_loss(critic(real), critic(fake)).item() == pytest.approx(0.1 * distance)
