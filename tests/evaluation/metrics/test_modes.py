"""Modes counted on points made by hand, where every number is known."""

import math

import pytest
import torch
from torch import Tensor

from genmodels.distributions.modes import MIXTURES, Modes
from genmodels.errors import UserError
from genmodels.evaluation.metrics import Figure, ModeCoverage, Trained
from genmodels.models.model import Model
from genmodels.objectives import NonSaturating

RING, GRID = MIXTURES["ring"], MIXTURES["grid"]


class Drawer(Model):
    """Draws the same points again and again, in turn, a little off where it is told so."""

    def __init__(self, points: Tensor, noise: float = 0.0) -> None:
        super().__init__()
        self.points = torch.nn.Parameter(points)
        self.noise = noise

    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return self.points[torch.arange(n) % len(self.points)] + self.noise * torch.randn(n, 2)


def measured(model: Model, modes: Modes | None = RING, max_examples: int | None = None, seed: int = 0) -> Figure:
    return ModeCoverage().measure(
        Trained(model, NonSaturating(), "test", lambda _: (), max_examples=max_examples, seed=seed, modes=modes)
    )


def right_of(modes: Modes, deviations: float) -> Tensor:
    """Beside each centre, so many deviations away."""
    return modes.centres + torch.tensor([deviations * modes.deviation, 0.0])


def parts(figure: Figure) -> tuple[float, float]:
    return figure.parts["share of good samples"][0], figure.parts["KL of the modes' shares"][0]


@pytest.mark.parametrize("modes", [RING, GRID], ids=["ring", "grid"])
def test_every_mode_with_good_samples_is_covered(modes: Modes) -> None:
    count = len(modes.centres)
    found = measured(Drawer(right_of(modes, 2.9)), modes, max_examples=40 * count)
    assert (found.mean, found.num_examples, found.parts["there are"]) == (count, 40 * count, (count, None))
    assert parts(found) == (1.0, pytest.approx(0.0, abs=1e-6))
    assert (found.direction, found.counted, found.kind) == ("higher", "samples", "estimate")


def test_samples_beyond_three_deviations_cover_nothing_and_still_count_in_the_shares() -> None:
    found = measured(Drawer(right_of(RING, 3.1)), max_examples=80)
    assert (found.mean, *parts(found)) == (0.0, 0.0, pytest.approx(0.0, abs=1e-6))


def test_one_mode_alone_is_the_logarithm_of_their_number_away() -> None:
    found = measured(Drawer(RING.centres[3:4]))
    assert (found.mean, *parts(found)) == (1.0, 1.0, pytest.approx(math.log(8), rel=1e-6))
    assert found.num_examples == 2500


def test_far_noise_is_not_good_and_one_good_sample_is_enough() -> None:
    """Three of five points are centres, each of another mode; the two others are far out, nearest to the right one."""
    points = torch.cat((RING.centres[[0, 2, 4]], torch.tensor([[9.0, 0.0], [8.0, 0.1]], dtype=torch.float64)))
    found = measured(Drawer(points), max_examples=500)
    shares = torch.tensor([0.6, 0.2, 0.2])
    assert (found.mean, *parts(found)) == (
        3.0,
        0.6,
        pytest.approx(float((shares * (8 * shares).log()).sum()), rel=1e-5),
    )
    assert found.parts["share of good samples"][1] == pytest.approx(math.sqrt(0.6 * 0.4 / 500), rel=0.01)
    once = torch.cat((RING.centres[:1].repeat(499, 1), RING.centres[5:6]))
    assert measured(Drawer(once), max_examples=500).mean == 2.0


@pytest.mark.parametrize("modes", [RING, GRID], ids=["ring", "grid"])
def test_the_density_itself_scores_what_is_said(modes: Modes) -> None:
    """1 - exp(-9 / 2) of the samples are good, and chance makes the KL (K - 1) / 2N on average."""
    count = len(modes.centres)
    found = measured(Drawer(modes.centres, modes.deviation), modes, max_examples=count * 2000)
    share, error = found.parts["share of good samples"]
    assert found.mean == count
    assert error is not None
    assert abs(share - (1 - math.exp(-4.5))) < 5 * error
    choices = torch.randint(count, (2500,), generator=torch.Generator().manual_seed(0))
    drawn = measured(Drawer(modes.centres[choices]), modes)
    assert 0 < parts(drawn)[1] < 3 * (count - 1) / 5000


def test_noise_is_that_of_the_seed() -> None:
    model = Drawer(RING.centres, 0.05)
    assert measured(model) == measured(model)
    assert measured(model) != measured(model, seed=1)


def test_what_cannot_be_measured_is_said() -> None:
    with pytest.raises(UserError, match=r"^metrics=\[modes\] needs data whose modes are known: .*name=ring or grid$"):
        measured(Drawer(RING.centres), modes=None)
    with pytest.raises(UserError, match="diverged"):
        measured(Drawer(torch.full((1, 2), math.nan)))
