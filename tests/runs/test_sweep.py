"""Sweeps: folders that say what varies, and a table of every trial however it ended."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT, Done, run_program

from genmodels.errors import Interrupted
from genmodels.evaluation.metrics import Figure
from genmodels.runs import sweep
from genmodels.runs.folder import RunFolder
from genmodels.runs.sweep import trial_folder

Run = Callable[..., Done]
TINY = ("model=nice_small", "model.width=4", "trainer=cpu", "trainer.max_steps=1", "logger=csv")
FIGURE = Figure("bits_per_dim", 2.0, 0.03, "bits/dim", "lower", 250, "bound", {"importance_samples": 1})


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    return lambda name, *arguments: run_program(name, *arguments, capture=capsys)


def test_all_trials_stand_in_one_table(run: Run, tmp_path: Path) -> None:
    done = run("train", "-m", *TINY, "model.num_couplings=4,1", "optimizer.lr=0.001,0.01", "output_dir=here")
    assert "model.num_couplings=1 leaves half" in done.mistake
    (folder,) = (tmp_path / "here" / "sweeps").iterdir()
    assert [path.name for path in sorted(folder.glob("*/"))] == [
        "0_model.num_couplings-4_optimizer.lr-0.001",
        "1_model.num_couplings-4_optimizer.lr-0.01",
        "2_model.num_couplings-1_optimizer.lr-0.001",
        "3_model.num_couplings-1_optimizer.lr-0.01",
    ]
    trials = json.loads((folder / "sweep.json").read_text())
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
    assert f"sweep     here/sweeps/{folder.name}" in table


def test_a_trial_can_be_used_like_any_run_and_the_next_program_shows_no_old_table(run: Run, tmp_path: Path) -> None:
    assert run("train", "-m", *TINY, "seed=3,4").code == 0
    (trial,) = tmp_path.glob("outputs/sweeps/*/1_seed-4")
    assert run("evaluate", f"run={trial.relative_to(tmp_path)}", "max_images=10").code == 0
    assert "trial" not in run("train", *TINY).out


def test_trials_stand_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (10, 2, 0):
        RunFolder(tmp_path / f"{number}_seed-{number}").update_record(overrides=[f"seed={number}"], status="finished")
    monkeypatch.setattr(sweep, "_begun", [sweep._Sweep(tmp_path, frozenset())])
    sweep.conclude_sweep()
    trials = json.loads((tmp_path / "sweep.json").read_text())
    assert [trial["varied"] for trial in trials] == [{"seed": "0"}, {"seed": "2"}, {"seed": "10"}]


def test_an_interruption_ends_the_sweep(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = []

    def interrupted(config: dict[str, Any], *arguments: Any) -> None:
        trials.append(config["seed"])
        raise Interrupted("Interrupted at step 3")

    monkeypatch.setattr("genmodels.sweeps.seeds.train", interrupted)
    done = run("train", "-m", *TINY, "seed=3,4")
    assert (done.code, done.err.strip(), trials) == (130, "Interrupted at step 3", [3])


def test_trials_that_differ_in_their_seed_alone_end_in_one_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    means = {("0.1", 0): 2.0, ("0.1", 1): 2.2, ("0.2", 0): 3.0, ("0.2", 1): None}
    for number, ((rate, seed), mean) in enumerate(means.items()):
        folder = RunFolder(tmp_path / f"{number}_x")
        overrides = [f"optimizer.lr={rate}", f"seed={seed}", "model=glow"]
        folder.update_record(overrides=overrides, status="failed" if mean is None else "finished")
        if mean is not None:
            folder.add_metrics("test/bits_per_dim K=1", asdict(FIGURE) | {"mean": mean})
    monkeypatch.setattr(sweep, "_begun", [sweep._Sweep(tmp_path, frozenset(["model"]))])
    sweep.conclude_sweep()
    printed = capsys.readouterr().out
    assert "optimizer.lr=0.1, seeds 0, 1\n  test/bits_per_dim K=1 2.1000 ± 0.0300, deviation 0.1414 over 2" in printed
    assert "optimizer.lr=0.2" not in printed, "one seed has no deviation"
    (group,) = json.loads((tmp_path / "seeds.json").read_text())
    assert (group["varied"], group["seeds"]) == ({"optimizer.lr": "0.1"}, [0, 1])
    assert group["figures"]["test/bits_per_dim K=1"]["mean"] == pytest.approx(2.1)


def test_the_folder_of_a_trial_is_safe_and_short() -> None:
    assert trial_folder(0, "model/likelihood-bernoulli_data.root-/my data") == (
        "0_model-likelihood-bernoulli_data.root--my-data"
    )
    assert trial_folder(12, "model.sizes-[1,2]") == "12_model.sizes--1-2"
    assert trial_folder(3, "") == "3"
    assert len(trial_folder(1, "x" * 1000)) == 100


@pytest.mark.slow
def test_trials_run_at_the_same_time_under_joblib(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    program = [sys.executable, str(ROOT / "train.py"), "-m", *launcher, *TINY, "seed=3,4"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "outputs" / "sweeps").iterdir()
    assert [trial["status"] for trial in json.loads((folder / "sweep.json").read_text())] == ["finished"] * 2
    records = [json.loads((folder / name / "run.json").read_text()) for name in ("0_seed-3", "1_seed-4")]
    assert records[0]["pid"] != records[1]["pid"]
    assert "seeds 3, 4\n  test/bits_per_dim K=1 " in done.stdout
