"""Families that genmodels does not have, brought by a user's package, go through every front door."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import Done, run_program

from genmodels.training.checkpoint_io import read_checkpoint

HERE = Path(__file__).parent
SHORT = ("trainer=cpu", "logger=csv", "callbacks.ema.decay=0.9", "data.batch_size=128")
Program = Callable[..., Done]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    """Runs a front door as somebody does whose package is on the path, in a folder of their own."""
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.chdir(tmp_path)

    def run(door: str, *arguments: str) -> Done:
        done = run_program(door, *arguments, "plugins=[toy_families]", capture=capsys)
        assert done.code == 0, done
        return done

    return run


def train(program: Program, folder: str, *arguments: str) -> None:
    configs = f"--config-dir={HERE / 'toy_families' / 'conf'}"
    program("train", configs, *SHORT, f"hydra.run.dir={folder}", *arguments)


def assert_same_weights(first: Path, second: Path) -> None:
    a, b = (read_checkpoint(run / "checkpoints" / "last.ckpt") for run in (first, second))
    for name, tensor in a["state_dict"].items():
        assert torch.equal(tensor, b["state_dict"][name]), name
    for name, tensor in a["callbacks"]["EMA"]["average"].items():
        assert torch.equal(tensor, b["callbacks"]["EMA"]["average"][name]), name
    for mine, others in zip(a["optimizer_states"], b["optimizer_states"], strict=True):
        for index, state in mine["state"].items():
            assert all(torch.equal(state[key], others["state"][index][key]) for key in state)


def test_a_gan(program: Program, tmp_path: Path) -> None:
    """Two optimisers, no density: 25 steps are 25 updates of the generator and 50 of the discriminator."""
    options = ("model=toy_gan", "+optimizer@optimizers.discriminator=sgd", "trainer.gradient_clip_val=0.5")
    train(program, "straight", *options, "trainer.max_steps=25")
    train(program, "stopped", *options, "trainer.max_steps=12")
    program("train", "resume=stopped", "trainer.max_steps=25")
    assert_same_weights(tmp_path / "straight", tmp_path / "stopped")

    run = tmp_path / "straight"
    assert not (run / "checkpoints" / "best.ckpt").exists()
    last = read_checkpoint(run / "checkpoints" / "last.ckpt")
    generator, discriminator = last["optimizer_states"]
    assert generator["state"][0]["step"] == 25
    assert "momentum_buffer" in discriminator["state"][0]
    average = last["callbacks"]["EMA"]["average"]
    moved = {name for name in average if not torch.equal(average[name], last["state_dict"][f"model.{name}"])}
    assert {name.split(".")[0] for name in moved} == {"generator"}
    record = json.loads((run / "run.json").read_text())
    assert (record["steps"], record["status"]) == (25, "finished")
    with (run / "metrics.csv").open() as file:
        logged = {(row["name"], int(row["step"])) for row in csv.DictReader(file)}
    parts = ("generator", "discriminator")
    assert {("val/generator_loss", 25), *((f"train/grad_norm/{part}", 20) for part in parts)} <= logged
    assert {f"train/learning_rate/{part}" for part in parts} <= {name for name, _ in logged}
    assert max(step for _, step in logged) == 25
    assert (run / "samples" / "step_0000025.png").exists()

    program("sample", "run=straight", "n=8")
    samples = np.load(next((run / "samples").glob("*.npz")))["samples"]
    assert (samples.shape, samples.dtype) == ((8, 1, 8, 8), np.uint8)
    printed = program("evaluate", "run=straight", "metrics=[toy_families.PixelMeanError]").out
    assert "test/pixel_mean_error" in printed
    figure = json.loads((run / "metrics.json").read_text())["test/pixel_mean_error last.ckpt"]
    assert (figure["kind"], figure["weights"], figure["num_examples"]) == ("estimate", "ema", 250)


@pytest.mark.slow
def test_clipping_holds_for_each_optimiser(program: Program, tmp_path: Path) -> None:
    """SGD without momentum at rate 1 moves each part by the largest norm allowed, or less."""
    train(
        program,
        "run",
        "model=toy_gan",
        "optimizer=sgd",
        "optimizer.lr=1",
        "optimizer.momentum=0",
        "trainer.gradient_clip_val=0.001",
        "trainer.max_steps=2",
        "callbacks.checkpoints.every_n_steps=1",
        "callbacks.ema.decay=0",  # the average is then the weights of the step before the last to be saved
        "trainer.limit_train_batches=4",
    )
    first = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["state_dict"]
    train(
        program,
        "more",
        "model=toy_gan",
        "optimizer=sgd",
        "optimizer.lr=1",
        "optimizer.momentum=0",
        "trainer.gradient_clip_val=0.001",
        "trainer.max_steps=3",
        "trainer.limit_train_batches=6",
    )
    second = read_checkpoint(tmp_path / "more" / "checkpoints" / "last.ckpt")["state_dict"]
    moved = {
        part: sum(float((second[name] - first[name]).square().sum()) for name in first if part in name) ** 0.5
        for part in ("generator", "discriminator")
    }
    assert moved["generator"] == pytest.approx(0.001, rel=1e-3)
    assert 0 < moved["discriminator"] <= 0.002 * 1.001  # two steps


@pytest.mark.slow
def test_a_latent_variable_model(program: Program, tmp_path: Path) -> None:
    train(program, "straight", "model=toy_vae", "trainer.max_steps=40", "optimizer.lr=0.01")
    train(program, "stopped", "model=toy_vae", "trainer.max_steps=23", "optimizer.lr=0.01")
    program("train", "resume=stopped", "trainer.max_steps=40")
    assert_same_weights(tmp_path / "straight", tmp_path / "stopped")

    run = tmp_path / "straight"
    assert (run / "checkpoints" / "best.ckpt").exists()
    program("evaluate", "run=straight", "importance_samples=1")
    program("evaluate", "run=straight", "importance_samples=64")
    figures = json.loads((run / "metrics.json").read_text())
    one, many = figures["test/bits_per_dim K=1"], figures["test/bits_per_dim K=64"]
    assert (one["kind"], many["kind"]) == ("bound", "bound")
    assert many["mean"] < one["mean"] < 4.1  # a tighter bound, and both better than 17 equal values, 4.09 bits
    program("sample", "run=straight", "n=8")
    assert np.load(next((run / "samples").glob("*.npz")))["samples"].shape == (8, 1, 8, 8)


def test_a_mistyped_part_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.chdir(tmp_path)
    configs = f"--config-dir={HERE / 'toy_families' / 'conf'}"
    options = ("plugins=[toy_families]", "model=toy_gan", "+optimizer@optimizers.critic=sgd")
    done = run_program("train", configs, *SHORT, *options, capture=capsys)
    assert done.mistake == "optimizers.critic names no part that is trained: there is generator, discriminator"
