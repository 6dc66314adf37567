"""Sweeps: folders that say what varies, and a table of every trial however it ended."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Done, run_program

from genmodels.runs.sweep import trial_folder

Run = Callable[..., Done]
TINY = ("model=nice_small", "model.width=4", "trainer=cpu", "trainer.max_steps=1", "logger=csv")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    return lambda name, *arguments: run_program(name, *arguments, capture=capsys)


def test_all_trials_stand_in_one_table(run: Run, tmp_path: Path) -> None:
    done = run("train", "-m", *TINY, "model.num_couplings=4,1", "optimizer.lr=0.001,0.01", "output_dir=here")
    assert "model.num_couplings=1 leaves half" in done.mistake
    (sweep,) = (tmp_path / "here" / "sweeps").iterdir()
    assert [path.name for path in sorted(sweep.glob("*/"))] == [
        "0_model.num_couplings-4_optimizer.lr-0.001",
        "1_model.num_couplings-4_optimizer.lr-0.01",
        "2_model.num_couplings-1_optimizer.lr-0.001",
        "3_model.num_couplings-1_optimizer.lr-0.01",
    ]
    trials = json.loads((sweep / "sweep.json").read_text())
    assert [trial["status"] for trial in trials] == ["finished", "finished", "failed", "failed"]
    assert [trial["varied"]["optimizer.lr"] for trial in trials] == ["0.001", "0.01"] * 2
    assert set(trials[0]["varied"]) == {"model.num_couplings", "optimizer.lr"}
    assert trials[2]["error"].startswith("model.num_couplings=1 leaves half")
    table = done.out.partition("validation")[2]
    for trial in trials[:2]:
        figure = trial["figures"]["test/bits_per_dim K=1"]
        assert f"{figure['mean']:.4f} ± {figure['standard_error']:.4f}" in table
        assert f"{trial['validation']:.4f}" in table
    assert "trial 3: model.num_couplings=1 leaves half" in table
    assert f"sweep     here/sweeps/{sweep.name}" in table


def test_a_trial_can_be_used_like_any_run_and_the_next_program_shows_no_old_table(run: Run, tmp_path: Path) -> None:
    assert run("train", "-m", *TINY, "seed=3,4").code == 0
    (trial,) = tmp_path.glob("outputs/sweeps/*/1_seed-4")
    assert run("evaluate", f"run={trial.relative_to(tmp_path)}", "max_images=10").code == 0
    assert "trial" not in run("train", *TINY).out


def test_the_folder_of_a_trial_is_safe_and_short() -> None:
    assert trial_folder(0, "model/likelihood-bernoulli_data.root-/my data") == (
        "0_model-likelihood-bernoulli_data.root--my-data"
    )
    assert trial_folder(12, "model.sizes-[1,2]") == "12_model.sizes--1-2"
    assert trial_folder(3, "") == "3"
    assert len(trial_folder(1, "x" * 1000)) == 100
