"""The figure of estimators against the number of draws, run small."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "experiments" / "estimator_variance.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("figure") / "new"
    runpy.run_path(str(SCRIPT))["main"](made, repeats=150, most=16)
    return made


@pytest.fixture(scope="module")
def points(folder: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    found = json.loads((folder / "estimator_variance.json").read_text())
    assert found["repeats"] == 150
    return {(point["objective"], point["gradient"], point["samples"]): point for point in found["points"]}


def test_every_estimator_is_measured_at_every_number_of_draws(points: dict[Any, Any]) -> None:
    assert len(points) == 4 * 5 + 5 * 5 - 1
    for count in (1, 2, 4, 8, 16):
        order = ("reinforce", "reinforce_baseline", "reparametrised", "sticking")
        variances = [points["elbo", gradient, count]["variance"] for gradient in order]
        assert sorted(variances, reverse=True) == variances
    for gradient in order:
        gain = points["elbo", gradient, 2]["variance"] / points["elbo", gradient, 16]["variance"]
        assert 4 < gain < (16 if gradient == "reinforce_baseline" else 10), gradient


def test_the_signal_of_the_importance_weighted_bound_sinks_or_rises_as_the_papers_say(points: dict[Any, Any]) -> None:
    """From K = 1 to 16, by a quarter and fourfold in the limit."""
    change = {
        gradient: points["iwae", gradient, 16]["signal_to_noise"] / points["iwae", gradient, 1]["signal_to_noise"]
        for gradient in ("reparametrised", "doubly_reparametrised")
    }
    assert change["reparametrised"] < 0.6
    assert 2.5 < change["doubly_reparametrised"] < 5
    assert points["iwae", "reinforce", 16]["variance"] > points["iwae", "reinforce", 1]["variance"]


def test_noise_in_the_mean_of_the_gradients_does_not_pass_for_signal(points: dict[Any, Any]) -> None:
    """It alone would be a signal of one to the root of the number of gradients."""
    found = [points["elbo", "reinforce", count]["signal_to_noise"] for count in (1, 2, 4)]
    assert max(found) < 0.7 / 150**0.5


def test_the_picture_has_three_panels_with_lines_in_their_colours(folder: Path) -> None:
    picture = np.asarray(Image.open(folder / "estimator_variance.png").convert("RGB")).astype(int)
    red, blue = (np.abs(picture - colour).max(axis=2) < 10 for colour in ((214, 39, 40), (31, 119, 180)))
    panels = np.array_split(np.arange(picture.shape[1]), 3)
    assert [bool(red[:, panel].any()) for panel in panels] == [True, True, False]
    assert all(blue[:, panel].any() for panel in panels)
