"""Runs that fit a density instead of data."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genmodels.config.compose import compose
from genmodels.experiment import train
from genmodels.runs.finished_run import load_run
from genmodels.training.checkpoint_io import read_checkpoint
from genmodels.training.csv_logger import read_series

SHORT = (
    "model.num_layers=4",
    "data.validation=2000",
    "trainer=cpu",
    "logger=csv",
    "callbacks.invertibility=null",
    "callbacks.curves=null",
    "evaluation.max_images=2000",
    "evaluation.batch_size=1000",
)


@pytest.mark.parametrize("model", ["planar", "radial"])
def test_divergence_falls_and_is_scored_with_an_error(model: str, tmp_path: Path) -> None:
    more = ["objective.annealing_steps=0", "trainer.max_steps=60", "trainer.val_check_interval=20", "optimizer.lr=0.02"]
    best = train(compose([f"model={model}", "data=energy2d", *SHORT, *more]), tmp_path)
    divergences = read_series(tmp_path / "metrics.csv")["val/reverse_kl"][1]
    assert len(divergences) == 3
    assert 0 < divergences[-1] < 0.8 * divergences[0]
    assert best == pytest.approx(divergences[-1])
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    figure = metrics["test/reverse_kl first 2000"]
    assert abs(figure["mean"] - divergences[-1]) < 5 * figure["standard_error"]
    assert (figure["num_examples"], figure["kind"], figure["unit"]) == (2000, "estimate", "nats")
    assert metrics["test/nll K=1 first 2000"]["mean"] > 0


def test_a_resumed_run_goes_on_with_the_temperature_of_its_step(tmp_path: Path) -> None:
    arguments = ["model=planar", "data=energy2d", *SHORT, "objective.annealing_steps=20", "callbacks.samples=null"]
    train(compose([*arguments, "trainer.max_steps=20"]), tmp_path / "whole")
    train(compose([*arguments, "trainer.max_steps=10"]), tmp_path / "parts")
    more = ["trainer.max_steps=20"]
    train(compose([*arguments, *more, f"resume={tmp_path / 'parts'}"]), tmp_path / "unused", more)
    whole, parts = (read_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("whole", "parts"))
    assert whole["global_step"] == parts["global_step"] == 20
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, parts["state_dict"][name]), name


def test_the_picture_shows_the_target_beside_the_model(tmp_path: Path) -> None:
    """Left the two arcs of U1, right the one hill of an untrained flow."""
    train(compose(["model=planar", "data=energy2d", *SHORT, "trainer.max_steps=1"]), tmp_path)
    (path,) = (tmp_path / "samples").glob("*.png")
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    height, width, _ = picture.shape
    assert 1.7 * height < width < 2.1 * height
    bright = picture[..., 1] - picture[..., 2] > 60  # the yellow end of the colours
    target = bright[height // 2 - 10 : height // 2 + 10, : width // 2].any(axis=0)
    peaks = np.flatnonzero(np.diff(target.astype(int)) == 1)
    assert len(peaks) == 2
    assert np.diff(peaks)[0] == pytest.approx(4 / 8 * 0.85 * width / 2, rel=0.15)
    assert load_run(tmp_path).model.shape == (2,)
