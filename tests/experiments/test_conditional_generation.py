"""What is measured of samples of a class, by hand, and the picture of runs of a few steps."""

import json
import runpy
from pathlib import Path

import pytest
import torch
from command_line import run_program

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "experiments" / "conditional_generation.py"))


def test_an_image_is_of_the_class_of_its_nearest_neighbour() -> None:
    torch.manual_seed(0)
    x, y = torch.randint(0, 17, (30, 1, 8, 8), dtype=torch.uint8), torch.arange(30) % 3
    assert SCRIPT["judged"]((x, y), (x, y))["of the class"] == 1.0
    asked = y.clone()
    asked[:12] = (y[:12] + 1) % 3
    assert SCRIPT["judged"]((x, asked), (x, y))["of the class"] == pytest.approx(18 / 30)


def test_the_spread_by_hand() -> None:
    """Four pixels: images of class 0 differ by 2 in each, those of class 1 by 8 in one and by nothing in the others."""
    x = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    x[1] = 2
    x[3, 0, 1, 1] = 8
    assert SCRIPT["spread"](x, torch.tensor([0, 0, 1, 1])) == pytest.approx((2 + 4) / 2)


def test_a_strip_has_a_column_for_each_class() -> None:
    x = torch.arange(1, 7, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 1, 2, 2)
    image = SCRIPT["strip"]((x, torch.tensor([0, 1, 2, 0, 1, 2])))
    assert image.shape == (8, 12)
    assert (image[1::4, 1::4] * 6).tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert (image[0] == 1).all()


@pytest.mark.slow
def test_the_picture_of_short_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = []
    for model in ("vae_small", "tarflow_small"):
        runs.append(str(tmp_path / model))
        line = ("trainer.max_steps=3", "trainer.limit_val_batches=1", "evaluation.max_images=4", "trainer=cpu")
        words = (f"model={model}", "model.conditional=true", *line, "logger=none", f"hydra.run.dir={runs[-1]}")
        done = run_program("train", *words, capture=capsys)
        assert done.code == 0, done.err
    found = SCRIPT["main"](tmp_path, runs, each=3)
    assert [*found] == ["test images", "VAE", "TARFlow, w = 0", "TARFlow, w = 1", "TARFlow, w = 2"]
    assert found["test images"]["of the class"] > 0.95
    # From the same noise, and yet not the same images.
    assert found["TARFlow, w = 0"]["spread"] != found["TARFlow, w = 2"]["spread"]
    assert json.loads((tmp_path / "conditional_generation.json").read_text()) == {"each": 3, **found}
    assert (tmp_path / "conditional_generation.png").stat().st_size > 10_000
