"""Studies of tiny runs: whole, pruned, failing, killed, and by several workers."""

import json
import os
import shlex
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")

from command_line import Done, run_program
from optuna.trial import TrialState

from genmodels.config.compose import compose
from genmodels.errors import Interrupted, UserError
from genmodels.experiment import train
from genmodels.runs.folder import RunFolder
from genmodels.sweeps.pruning import Reports
from genmodels.sweeps.search import search
from genmodels.sweeps.space import read_space
from genmodels.sweeps.study import Study
from genmodels.training.csv_logger import read_series

TINY = (
    *("model=nice_small", "model.width=4", "trainer=cpu", "trainer.max_steps=8", "trainer.val_check_interval=2"),
    *("logger=csv", "callbacks.samples=null", "callbacks.curves=null", "evaluation.max_images=10"),
)
RATES = {"optimizer": {"lr": "tag(log, interval(1e-3, 1e-2))"}}
Run = Callable[..., Done]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")


def look(n_trials: int, space: dict[str, Any] = RATES, *overrides: str, pruning: Any = None) -> list[dict[str, Any]]:
    """Search, and return what trials.json tells, the best first."""
    search([*TINY, *overrides], space, "s", n_trials, pruning)
    return json.loads(Path("outputs/studies/s/trials.json").read_text())


def steps(number: int) -> list[int]:
    """At which a trial's run has validated, as often as it has."""
    return read_series(Path(f"outputs/studies/s/{number}/metrics.csv"))["val/bits_per_dim"][0]


def forked(work: Callable[[], object]) -> int:
    """A process that does the work, this one's copy; its exit code tells whether it ended well."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.slow
def test_the_printed_command_trains_the_best_trial_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    done = run_program("experiments.sweep", *TINY, "n_trials=3", "study=s", "data.batch_size=64", capture=capsys)
    assert done.code == 0, done.err
    rows = json.loads(Path("outputs/studies/s/trials.json").read_text())
    assert [row["status"] for row in rows] == ["finished"] * 3
    assert [row["validation"] for row in rows] == sorted(row["validation"] for row in rows)
    assert set(rows[0]["values"]) == {"optimizer.lr", "optimizer.weight_decay"}, "a typed key is not searched"
    assert "3/3" not in done.out
    assert "2/3 trials  best " in done.out
    for picture in ("parallel_coordinates.png", "importances.png"):
        assert (tmp_path / "outputs/studies/s" / picture).stat().st_size > 5000
        assert f"picture   outputs/studies/s/{picture}" in done.out
    (again,) = (line for line in done.out.splitlines() if line.startswith("again"))
    assert run_program("train", *shlex.split(again)[5:], "hydra.run.dir=again", capture=capsys).code == 0
    assert min(read_series(Path("again/metrics.csv"))["val/bits_per_dim"][1]) == pytest.approx(rows[0]["validation"])


def test_the_same_command_goes_on_as_one_worker_would_have_and_another_one_does_not() -> None:
    look(1)
    first = look(3)
    Path("outputs").rename("before")
    again = look(3)
    assert [(row["trial"], row["values"], row["validation"]) for row in again] == [
        (row["trial"], row["values"], row["validation"]) for row in first
    ]
    assert len({row["values"]["optimizer.lr"] for row in again}) == 3
    with pytest.raises(UserError, match=r"holds a study with model.width=4, which is now 5: begin another one"):
        look(3, RATES, "model.width=5")
    with pytest.raises(UserError, match=r"sweep\.space\.optimizer\.lr="):
        look(3, {"optimizer": {"lr": "interval(0.1, 0.2)"}})
    assert look(3, RATES, "data.num_workers=1", "logger=none") == again, "what may differ between hosts"


def test_a_hopeless_trial_is_given_up_while_it_trains() -> None:
    space = {"optimizer": {"lr": "choice(0.01, 1e-9)"}}
    rows = look(4, space, "seed=2", pruning={"startup_trials": 1, "warmup_validations": 1})
    pruned = [row for row in rows if row["status"] == "pruned"]
    assert pruned
    assert {row["values"]["optimizer.lr"] for row in pruned} == {"1e-09"}
    for row in pruned:
        assert steps(row["trial"]) == [2, 4]
        folder = RunFolder(f"outputs/studies/s/{row['trial']}")
        assert (folder.read_record()["status"], folder.read_metrics()) == ("pruned", {})
        assert folder.last.exists()
    assert rows[0]["values"]["optimizer.lr"] == "0.01"
    assert steps(rows[0]["trial"]) == [2, 4, 6, 8]


def test_a_trial_that_diverges_is_recorded_and_the_study_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    rows = look(3, {"optimizer": {"lr": "choice(0.01, 1e30)"}}, "seed=2")
    failed = [row for row in rows if row["status"] == "failed"]
    assert failed
    assert {row["values"]["optimizer.lr"] for row in failed} == {"1e+30"}
    assert failed[0]["error"].startswith("Training stopped")
    printed = capsys.readouterr()
    assert f"trial {failed[0]['trial']}: Training stopped" in printed.out
    assert f"trial {failed[0]['trial']} failed: Training stopped" in printed.err
    assert [row["status"] for row in rows].count("finished") == 3 - len(failed) > 0


@pytest.mark.parametrize(
    ("overrides", "space", "told"),
    [
        (["data.batch_size=0"], RATES, "data.batch_size must be at least 1"),
        ([], {"optimizer": {"rate": "choice(1,2)"}}, "unknown key optimizer.rate"),
        ([], {"optimizer": {"lr": "choice(a,b)"}}, "optimizer.lr must be a"),
        (["model=dcgan_small", "~model.width", "objective.compared=0"], RATES, "nothing can be searched by"),
        (["data=mnist"], RATES, "MNIST not found"),
    ],
)
def test_a_mistake_in_all_trials_ends_the_study_before_the_first(
    overrides: list[str], space: dict[str, Any], told: str
) -> None:
    kept = [o for o in TINY if o != "model.width=4"] if "~model.width" in overrides else TINY
    with pytest.raises(UserError, match=told):
        search([*kept, *(o for o in overrides if o != "~model.width")], space, "s", 2, None)
    assert not Path("outputs").exists()


def test_trials_that_cannot_begin_end_the_study_after_three() -> None:
    with pytest.raises(UserError, match=r"3 trials in a row failed before their first step.*num_couplings=1 leaves"):
        look(9, {"model": {"num_couplings": "choice(1)"}})
    assert [trial.state for trial in Study(Path("outputs/studies/s")).trials()] == [TrialState.FAIL] * 3


def _killed_in(number: int, work: Callable[[], object]) -> None:
    """Do the work in a process that is killed as soon as the trial has a checkpoint."""
    child = forked(work)
    last = Path(f"outputs/studies/s/{number}/checkpoints/last.ckpt")
    deadline = time.monotonic() + 60
    while not last.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_killed_worker_s_trial_is_gone_on_with() -> None:
    longer = ("trainer.max_steps=200", "trainer.val_check_interval=20")
    _killed_in(0, lambda: look(1, RATES, *longer))
    study = Study(Path("outputs/studies/s"))
    assert [trial.state for trial in study.trials()] == [TrialState.RUNNING]
    rate = study.trials()[0].params["optimizer.lr"]
    (row,) = look(1, RATES, *longer)
    assert (row["trial"], row["status"], row["values"]) == (0, "finished", {"optimizer.lr": rate})
    assert steps(0) == list(range(20, 201, 20)), "each validation once"
    assert len(RunFolder("outputs/studies/s/0").read_record()["earlier"]) == 1
    train(compose([*TINY, *longer, f"optimizer.lr={rate}"]), "straight")
    straight = read_series(Path("straight/metrics.csv"))["val/bits_per_dim"][1]
    assert row["validation"] == pytest.approx(min(straight), rel=1e-7), "as a run that was not killed"


@pytest.mark.slow
def test_an_interrupted_search_leaves_its_trial_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any, **named: Any) -> None:
        raise Interrupted("Interrupted at step 3")

    with monkeypatch.context() as patch:
        patch.setattr("genmodels.sweeps.search.train", interrupted)
        with pytest.raises(Interrupted):
            look(2)
    assert [row["trial"] for row in sorted(look(2), key=lambda row: row["trial"])] == [0, 1]


@pytest.mark.slow
def test_a_run_that_was_done_when_its_worker_was_killed_is_not_trained_again() -> None:
    overrides = [*TINY, "optimizer.lr=0.01"]
    space = {"optimizer": {"lr": "choice(0.01)"}}
    look(1, space)
    study = Study(Path("outputs/studies/s"))
    number = study.ask(read_space(space), 0)
    folder = study.run(number)
    train(compose(overrides), folder.path, overrides, [Reports(study.folder, number, None)])
    began = folder.read_record()["started"], folder.last.stat().st_mtime_ns
    rows = look(2, space)
    assert (folder.read_record()["started"], folder.last.stat().st_mtime_ns) == began
    assert [row["validation"] for row in rows] == [rows[0]["validation"]] * 2


def test_two_workers_share_the_trials() -> None:
    workers = [forked(lambda: look(4, RATES, "trainer.max_steps=60", "trainer.val_check_interval=20")) for _ in "ab"]
    assert [os.waitpid(worker, 0)[1] for worker in workers] == [0, 0]
    study = Study(Path("outputs/studies/s"))
    assert [trial.state for trial in study.trials()] == [TrialState.COMPLETE] * 4
    pids = [study.run(number).read_record()["pid"] for number in range(4)]
    assert set(pids) == set(workers), "each has done its part"
    assert all("earlier" not in e or e["earlier"] == [] for e in (study.run(n).read_record() for n in range(4)))


@pytest.mark.slow
def test_a_trial_of_two_processes_is_given_up_too() -> None:
    space = {"optimizer": {"lr": "choice(0.01, 1e-9)"}}
    two: Sequence[str] = ("trainer=ddp_cpu", "trainer.max_steps=8", "trainer.val_check_interval=2")
    rows = look(3, space, *two, "seed=2", pruning={"startup_trials": 1, "warmup_validations": 1})
    assert {row["status"] for row in rows} == {"finished", "pruned"}
