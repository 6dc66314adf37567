"""The same run with several seeds: trained, resumed, and put into one figure."""

import json
import os
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Done, run_program

from genmodels.config.compose import compose
from genmodels.errors import UserError
from genmodels.evaluation.metrics import Figure
from genmodels.evaluation.metrics.over_seeds import entries_over_seeds, over_seeds
from genmodels.runs.folder import RunFolder
from genmodels.sweeps.seeds import train_seeds

TINY = (
    *("model=nice_small", "model.width=4", "trainer=cpu", "trainer.max_steps=3", "logger=csv"),
    *("callbacks.samples=null", "callbacks.curves=null", "evaluation.max_images=50"),
)
KEY = "test/bits_per_dim K=1 first 50"
Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    return lambda name, *arguments: run_program(name, *arguments, capture=capsys)


def figure(mean: float, error: float | None = 0.3, **rest: object) -> Figure:
    return Figure("bits_per_dim", mean, error, "bits/dim", "lower", 10, "bound", **rest)  # type: ignore[arg-type]


def test_deviation_over_seeds_beside_the_error_over_examples() -> None:
    parts = ({"kl": (1.0, 0.1)}, {"kl": (2.0, None)}, {"kl": (6.0, 0.1)})
    figures = [figure(m, e, parts=p) for m, e, p in zip((1.0, 2.0, 6.0), (0.3, 0.4, 0.5), parts, strict=True)]
    found = over_seeds(dict(zip((4, 5, 6), figures, strict=True)))
    assert found is not None
    assert (found.mean, found.seeds, found.num_examples, found.unit) == (3.0, (4, 5, 6), 10, "bits/dim")
    assert found.deviation == pytest.approx(7**0.5)
    assert found.standard_error == pytest.approx(((0.09 + 0.16 + 0.25) / 3) ** 0.5), "of one run, not of three"
    assert found.parts == {"kl": (3.0, None)}


def test_what_was_measured_differently_is_not_put_together() -> None:
    assert over_seeds({0: figure(1.0), 1: figure(2.0, protocol={"importance_samples": 16})}) is None
    assert entries_over_seeds({0: {"a": {}}}) == {}


def test_seeds_end_in_one_figure_that_compare_shows(run: Run, tmp_path: Path) -> None:
    done = run("train", *TINY, "seed=4", "seeds=2", "hydra.run.dir=many")
    assert done.code == 0, done.err
    runs = [RunFolder(f"many/seed_{seed}") for seed in (4, 5)]
    assert [folder.read_config()["seed"] for folder in runs] == [4, 5]
    means = [folder.read_metrics()[KEY]["mean"] for folder in runs]
    assert means[0] != means[1]
    entry = RunFolder("many").read_metrics()[KEY]
    assert entry["mean"] == pytest.approx(statistics.mean(means))
    assert entry["deviation"] == pytest.approx(statistics.stdev(means))
    assert (entry["seeds"], entry["num_examples"]) == ([4, 5], 50)
    told = f"{entry['mean']:.4f} ± {entry['standard_error']:.4f}, deviation {entry['deviation']:.4f} over 2 seeds"
    assert f"{KEY} {told} bits/dim (bound, 50 examples)\nseeds     many\n" in done.out
    assert "many holds a run already" in run("train", *TINY, "seeds=2", "hydra.run.dir=many").mistake
    assert run("train", *TINY, "seed=4", "hydra.run.dir=one").code == 0
    assert RunFolder("one").read_metrics()[KEY]["mean"] == means[0]
    shown = run("compare", "runs=[many,one]").out
    assert told in shown
    assert [line.split() for line in shown.splitlines() if line.strip().startswith("seeds")] == [["seeds", "2", "1"]]
    assert run("evaluate", "run=many").mistake == "run=many holds runs of several seeds: name one, run=many/seed_4"


@pytest.mark.slow
def test_a_killed_group_goes_on_with_what_is_not_done(run: Run) -> None:
    longer = [
        *TINY,
        "trainer.max_steps=200",
        "trainer.check_val_every_n_epoch=1",
        "callbacks.checkpoints.every_n_steps=5",
    ]
    child = os.fork()
    if not child:
        train_seeds(compose([*longer, "seeds=2"]), "many", [])
        os._exit(0)
    deadline = time.monotonic() + 60
    while not Path("many/seed_1/checkpoints/last.ckpt").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    first, second = (RunFolder(f"many/seed_{seed}") for seed in (0, 1))
    started = first.read_record()["started"], second.read_record()["started"]
    before = json.dumps(first.read_record())
    assert run("train", "resume=many", "seeds=3").code == 0
    assert json.dumps(first.read_record()) == before, "done, so left alone"
    assert [earlier["started"] for earlier in second.read_record()["earlier"]] == [started[1]]
    third = RunFolder("many/seed_2")
    assert [folder.read_record()["steps"] for folder in (first, second, third)] == [200] * 3
    assert RunFolder("many").read_metrics()[KEY]["seeds"] == [0, 1, 2]
    assert RunFolder("many").read_record()["status"] == "finished"


def test_a_seed_that_diverges_leaves_the_others(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from genmodels import experiment

    def diverges_once(config: dict, folder: Path, *arguments: object) -> float | None:
        if config["seed"] == 1:
            RunFolder(folder).update_record(steps=2, status="failed")
            raise UserError("Training stopped at step 3")
        return experiment.train(config, folder)

    monkeypatch.setattr("genmodels.sweeps.seeds.train", diverges_once)
    done = run("train", *TINY, "seeds=3", "hydra.run.dir=many")
    assert done.mistake.splitlines() == ["seed 1: Training stopped at step 3"] * 2
    assert RunFolder("many").read_metrics()[KEY]["seeds"] == [0, 2]
    assert RunFolder("many").read_record()["status"] == "failed"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("seeds=0",), "seeds must be at least 1, got 0"),
        (("seeds=2", "data.batch_size=0"), "data.batch_size must be at least 1, got 0"),
        (("seeds=2", "model.num_couplings=1"), "model.num_couplings=1 leaves half"),
    ],
)
def test_mistakes_end_all_seeds_and_leave_nothing(arguments: tuple[str, ...], told: str, run: Run) -> None:
    assert run("train", *TINY, *arguments, "hydra.run.dir=many").mistake.startswith(told)
    assert not Path("many").exists()
