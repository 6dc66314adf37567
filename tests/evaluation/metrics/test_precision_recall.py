"""Precision, recall, density and coverage on sets of points that can be counted by hand."""

import pytest
import torch
from drawing_toys import Replays, asked
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.metrics import PrecisionRecall
from genmodels.evaluation.metrics.precision_recall import fidelity
from genmodels.features import neighbours


def line(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


REAL = line(0, 1, 2, 3, 4, 5)  # radii of k = 3: 3 2 2 2 2 3; of k = 5: 5 4 3 3 4 5


def test_by_hand() -> None:
    """Samples at 2.5 (six times, so that their own radii are 0) and one far away at 100 (radius 97.5)."""
    generated = line(2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 100)
    found = fidelity(REAL, generated)
    assert found.precision == pytest.approx(6 / 7)
    assert found.recall == pytest.approx(3 / 6)  # |x - 100| <= 97.5 for 3, 4, 5; no real point is 2.5 itself
    # 2.5 lies in all six balls of k = 5.
    assert found.density == pytest.approx(6 * 6 / 5 / 7)
    assert found.coverage == 1


def test_the_border_counts() -> None:
    generated = line(8, 9, 20, 30, 40, 50)  # 8 is 3 from 5, whose radius of k = 3 is 3
    found = fidelity(REAL, generated)
    assert found.precision == pytest.approx(1 / 6)
    # 8 and 4: distance 4, radius 4; 8 and 5: 3 <= 5; 9 and 5: 4 <= 5. 9 and 4: 5 > 4.
    assert found.density == pytest.approx(3 / 5 / 6)
    assert found.coverage == pytest.approx(2 / 6)


def test_the_same_set_and_two_far_apart() -> None:
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    same = fidelity(x, x)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    apart = fidelity(x, x + 1000)
    assert tuple(apart) == (0, 0, 0, 0)


def test_a_missing_mode_costs_recall_and_coverage_and_a_blur_precision() -> None:
    generator = torch.Generator().manual_seed(0)
    modes = torch.tensor([[0.0, 0.0], [50.0, 0.0]])
    real = modes.repeat(300, 1) + torch.randn(600, 2, generator=generator)
    one = modes[:1] + torch.randn(600, 2, generator=generator)
    found = fidelity(real, one)
    assert found.precision > 0.9
    assert found.recall == pytest.approx(0.5, abs=0.05)
    assert found.coverage == pytest.approx(0.5, abs=0.05)
    blurred = modes.repeat(300, 1) + 10 * torch.randn(600, 2, generator=generator)
    assert fidelity(real, blurred).precision < 0.3


def test_precision_and_recall_change_places_with_the_sets() -> None:
    x, y = torch.randn(2, 80, 2, generator=torch.Generator().manual_seed(0))
    one, other = fidelity(x, y * 2), fidelity(y * 2, x)
    assert one.precision == other.recall
    assert one.recall == other.precision


@pytest.mark.parametrize("entries", [1, 200])
def test_in_blocks(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = torch.randn(2, 80, 2, generator=torch.Generator().manual_seed(0))
    expected = fidelity(x, y[:50])
    monkeypatch.setattr(neighbours, "_ENTRIES", entries)
    assert fidelity(x, y[:50]) == expected


def test_as_a_figure() -> None:
    x = torch.randn(2, 90, 3, generator=torch.Generator().manual_seed(0))
    figure = PrecisionRecall().measure(asked(Replays(x[0]), x[1], num_samples=90))
    found = fidelity(x[1], x[0])
    assert (figure.name, figure.mean) == ("precision_vectors", found.precision)
    assert {name: value for name, (value, _) in figure.parts.items()} == {
        "recall": found.recall,
        "density": found.density,
        "coverage": found.coverage,
    }
    assert (figure.protocol["k"], figure.protocol["k_density"]) == (3, 5)
    with pytest.raises(UserError, match="more than 5 samples"):
        PrecisionRecall().measure(asked(Replays(x[0]), x[1], num_samples=5))
