"""The numbers behind the picture of five priors."""

import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "experiments" / "priors_figure.py"


def test_the_picture_of_a_short_training(tmp_path: Path) -> None:
    found = runpy.run_path(str(SCRIPT))["draw"](str(tmp_path / "figure.png"), steps=250)
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert set(found) == {"normal", "mixture", "VampPrior", "flow", "autoregressive"}
    assert all(-44.4 < elbo < -15 for elbo, _ in found.values())  # -64 log 2: nothing learned
    assert all(-0.1 < divergence < 2 for _, divergence in found.values())
    assert found["VampPrior"][1] < found["normal"][1]
