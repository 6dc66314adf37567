"""What the figure of two parallel lines is computed from, against values known in closed form."""

import json
import math
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "experiments" / "jsd_wasserstein.py"))


def between(theta: float) -> dict[str, float]:
    heights = SCRIPT["strata"]()
    return SCRIPT["divergences"](SCRIPT["line"](0.0, heights), SCRIPT["line"](theta, heights))


@pytest.mark.parametrize("theta", [-0.75, 0.125, 1.0])
def test_of_disjoint_lines_only_the_wasserstein_distance_knows_how_far_they_are(theta: float) -> None:
    found = between(theta)
    assert found["W1"] == pytest.approx(abs(theta), rel=1e-6)
    assert found["JSD"] == pytest.approx(math.log(2), rel=1e-12)
    assert found["total variation"] == pytest.approx(1.0, rel=1e-12)
    assert found["KL(P || Q)"] == found["KL(Q || P)"] == math.inf


def test_a_line_is_no_distance_from_itself() -> None:
    assert between(0.0) == dict.fromkeys(("KL(P || Q)", "KL(Q || P)", "JSD", "total variation", "W1"), 0.0)


def test_histograms_that_overlap_in_part() -> None:
    """P has four points in cell a; Q three in a and one in b: KL(P || Q) = log 4/3, the other way infinite, TV 1/4."""
    a, b = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])
    found = SCRIPT["divergences"](a.repeat(4, 1), torch.cat((a.repeat(3, 1), b)))
    jsd = (math.log(1 / 0.875) + 0.75 * math.log(0.75 / 0.875) + 0.25 * math.log(0.25 / 0.125)) / 2
    assert found == pytest.approx(
        {"KL(P || Q)": math.log(4 / 3), "KL(Q || P)": math.inf, "JSD": jsd, "total variation": 0.25, "W1": 5 / 4}
    )


def test_the_best_assignment_is_not_the_first_one() -> None:
    p = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    assert SCRIPT["wasserstein"](p, p[[2, 0, 1]] + torch.tensor([0.0, 0.5])) == pytest.approx(0.5)


def test_critics_say_log_2_and_a_little_more_than_the_distance(tmp_path: Path) -> None:
    points: list[dict[str, Any]] = SCRIPT["main"](tmp_path, steps=120, thetas=(0.0, 0.5))
    apart, together = points[1], points[0]
    assert apart["logistic critic"] == pytest.approx(math.log(2), abs=0.01)
    assert apart["Wasserstein critic"] == pytest.approx(0.5 * (1 + 0.5 / 20), abs=0.01)
    assert abs(together["logistic critic"]) < 0.01
    assert abs(together["Wasserstein critic"]) < 0.01
    kept = json.loads((tmp_path / "jsd_wasserstein.json").read_text())
    assert kept["steps"] == 120
    assert kept["points"] == [together, apart | {"KL(P || Q)": "infinite", "KL(Q || P)": "infinite"}]
    assert (tmp_path / "jsd_wasserstein.png").stat().st_size > 10_000
