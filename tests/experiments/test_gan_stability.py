"""The table of modes covered: its means and deviations over seeds, and a run of everything for two steps."""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genmodels.config.compose import compose
from genmodels.distributions.modes import MIXTURES
from genmodels.runs.finished_run import load_run

pytestmark = pytest.mark.slow

FILE = Path(__file__).parents[2] / "experiments" / "gan_stability.py"
SCRIPT = runpy.run_path(str(FILE))


def entry(method: str, seed: int, modes: float, good: float) -> dict[str, Any]:
    rest = {"samples": 2500, "steps": 700, "critic_steps": 5, "batch_size": 128, "cpu_seconds": 12.0 + 6 * seed}
    return {"data": "ring", "method": method, "seed": seed, "modes": modes, "good": good, "kl": 0.25, **rest}


def test_the_table_has_means_and_deviations_over_seeds() -> None:
    rows = [
        entry("GAN", 0, 3.0, 0.5),
        entry("GAN", 1, 5.0, 0.7),
        entry("WGAN", 0, 8.0, 1.0),
        entry("WGAN", 1, 8.0, 1.0),
    ]
    lines = SCRIPT["in_markdown"](rows).splitlines()
    assert "| ring | GAN | 4.0 ± 1.4 of 8 | 0.60 ± 0.14 | 0.25 ± 0.00 | 700 | 3,500 | 0.25 |" in lines
    assert "| ring | WGAN | 8.0 ± 0.0 of 8 | 1.00 ± 0.00 | 0.25 ± 0.00 | 700 | 3,500 | 0.25 |" in lines
    assert "over 2 seeds, 2,500 samples" in lines[0]
    assert lines[-1] == "4 runs, 1.0 CPU minutes, batches of 128."


def test_the_picture_shows_good_samples_in_blue_and_others_in_red(tmp_path: Path) -> None:
    centres = MIXTURES["grid"].centres
    SCRIPT["draw"]("grid", centres, {"all": [centres], "none": [centres + 1.0]}, tmp_path / "figure.png")
    picture = np.asarray(Image.open(tmp_path / "figure.png").convert("RGB")).astype(int)
    red, blue = (np.abs(picture - colour).max(axis=2) < 40 for colour in ((214, 39, 40), (31, 119, 180)))
    quarters = [
        (rows, columns) for rows in (slice(None, len(red) // 2), slice(len(red) // 2, None)) for columns in (0, 1)
    ]
    half = red.shape[1] // 2
    found = [
        tuple(bool(c[rows, half * column : half * (column + 1)].any()) for c in (blue, red))
        for rows, column in quarters
    ]
    assert found == [(True, False), (True, False), (True, False), (False, True)]


@pytest.mark.parametrize(
    ("recipe", "critic_steps", "penalty"),
    [
        ("gan_stability", 1, None),
        ("gan_stability_momentum", 1, None),
        ("gan_stability_sn", 1, None),
        ("gan_stability_wgan", 5, "WeightClipping"),
        ("gan_stability_wgan_gp", 5, "GradientPenalty"),
    ],
)
def test_every_critic_sees_as_many_batches(recipe: str, critic_steps: int, penalty: str | None) -> None:
    config = compose([f"experiment={recipe}"])
    objective = config["objective"]
    assert objective["critic_steps"] == critic_steps
    assert config["trainer"]["max_steps"] * critic_steps == config["scheduler"]["total_steps"] * critic_steps == 2500
    assert penalty is None or objective["penalty"]["_target_"] == f"genmodels.objectives.{penalty}"
    assert (objective["penalty"] is None) == (penalty is None)


def test_runs_of_two_steps_and_what_is_measured_of_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> dict[str, Any]:
        line = ["gan_stability.py", "--data", "ring", "--seeds", "3", "--runs", str(tmp_path / "runs")]
        monkeypatch.setattr(sys, "argv", [*line, "--out", str(tmp_path / "table"), *arguments])
        SCRIPT["main"]()
        return json.loads((tmp_path / "table.json").read_text())

    first = run("trainer.max_steps=2", "model.width=16")
    assert [row["method"] for row in first["rows"]] == ["GAN", "GAN, beta1 = 0.9", "WGAN", "WGAN-GP", "SN-GAN"]
    assert all(row["steps"] == 2 and row["cpu_seconds"] > 0 for row in first["rows"])
    assert (tmp_path / "table_ring.png").stat().st_size > 10_000
    trained = load_run(tmp_path / "runs" / "ring_gan_stability_wgan_3")
    assert (trained.config["seed"], trained.config["model"]["width"], trained.step) == (3, 16, 2)
    for weight in trained.model.discriminator.parameters():
        assert weight.abs().max() <= torch.tensor(0.1)
    assert run("--trained") == first
    assert "| ring | SN-GAN |" in capsys.readouterr().out
