"""A run of version e7079ca, from before files moved and models had a contract, still is what it was."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import run_program

from genmodels.training.checkpoint_io import read_checkpoint


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    return shutil.copytree(Path(__file__).with_name("old_run"), tmp_path / "run")


def test_it_scores_what_it_scored(old_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = json.loads((old_run / "metrics.json").read_text())["test/bits_per_dim K=1"]
    done = run_program("evaluate", f"run={old_run}", "importance_samples=1", capture=capsys)
    assert done.code == 0, done
    now = json.loads((old_run / "metrics.json").read_text())["test/bits_per_dim K=1"]
    # The images are the same and the dequantisation noise is another draw: 0.002 apart over seeds.
    assert abs(now["mean"] - before["mean"]) < 0.01
    assert (now["num_examples"], now["weights"], now["step"], now["kind"]) == (250, "ema", 40, "bound")


def test_it_draws(old_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run_program("sample", f"run={old_run}", "n=4", capture=capsys)
    assert done.code == 0, done
    samples = np.load(next((old_run / "samples").glob("*.npz")))["samples"]
    assert samples.shape == (4, 1, 8, 8)


def test_it_goes_on(old_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = read_checkpoint(old_run / "checkpoints" / "last.ckpt")
    done = run_program("train", f"resume={old_run}", "trainer.max_steps=60", capture=capsys)
    assert done.code == 0, done
    last = read_checkpoint(old_run / "checkpoints" / "last.ckpt")
    assert last["global_step"] == 60
    assert last["optimizer_states"][0]["state"][0]["step"] == 60
    assert last["state_dict"].keys() == raw["state_dict"].keys()
    assert json.loads((old_run / "run.json").read_text())["steps"] == 60
