"""The numbers behind the picture of four posteriors."""

import runpy
from pathlib import Path

import torch

SCRIPT = Path(__file__).parents[2] / "experiments" / "iaf_figure.py"


def test_the_picture_of_a_short_training(tmp_path: Path) -> None:
    script = runpy.run_path(str(SCRIPT))
    found = script["draw"](str(tmp_path / "figure.png"), steps=300)
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert set(found) == {"normal", "IAF"}
    area = (2 * script["SIDE"] / (script["CELLS"] - 1)) ** 2
    for fitted in found.values():
        assert torch.allclose(fitted.exact.sum(dim=(1, 2)) * area, torch.ones(4), atol=1e-3)
        assert (fitted.elbo < fitted.log_p + 0.05).all()
        assert (fitted.log_p < 0).all()
        assert fitted.log_p.mean() > -2.77  # four pixels unseen: -4 log 2
    # A posterior lies where the exact one does: their means agree.
    axis = torch.linspace(-script["SIDE"], script["SIDE"], script["CELLS"])
    for fitted in found.values():
        means = torch.stack([(fitted.exact.sum(dim=1) * axis).sum(dim=1), (fitted.exact.sum(dim=2) * axis).sum(dim=1)])
        assert torch.allclose(fitted.draws.mean(dim=1), means.T * area, atol=0.3)
