"""Whole runs through the front doors: train, evaluate, sample, interpolate, resume."""

import errno
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from command_line import Done, run_program
from PIL import Image

from genmodels.config.compose import compose
from genmodels.config.targets import build
from genmodels.errors import UserError
from genmodels.experiment import train
from genmodels.runs.finished_run import load_run
from genmodels.runs.folder import RunFolder

TINY = (
    "model=nice_small",
    "model.width=16",
    "model.num_hidden=1",
    "trainer=cpu",
    "logger=csv",
    "callbacks.ema.decay=0.9",
)
Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    return lambda name, *arguments: run_program(name, *arguments, capture=capsys)


def _train(run: Run, folder: Path, *more: str) -> str:
    done = run("train", *TINY, f"hydra.run.dir={folder}", *more)
    assert done.code == 0, done.err
    return done.out


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    train(compose([*TINY, "trainer.max_steps=25"]), folder)
    return folder


@pytest.fixture
def finished(trained: Path, tmp_path: Path) -> Path:
    """A copy of one finished run, for a test to do with as it likes."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def _json(path: Path) -> dict:
    return json.loads(path.read_text())


def test_a_run_leaves_what_is_needed_to_judge_and_repeat_it(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    printed = _train(run, folder, "trainer.max_steps=25")
    names = ("config.yaml", "run.json", "metrics.csv", "metrics.json", "curves.png", "checkpoints/best.ckpt")
    assert all((folder / name).is_file() for name in names)
    for mentioned in (folder / "samples" / "step_0000025.png", folder / "curves.png", folder):
        assert str(mentioned) in printed
    figure = _json(folder / "metrics.json")["test/bits_per_dim K=1"]
    assert 1 < figure["mean"] < 6
    assert 0 < figure["standard_error"] < 0.2
    assert (figure["num_examples"], figure["kind"], figure["unit"]) == (250, "bound", "bits/dim")
    assert (figure["weights"], figure["step"], figure["checkpoint"]) == ("ema", 25, "best.ckpt")
    record = _json(folder / "run.json")
    assert (record["status"], record["seed"], record["steps"]) == ("finished", 0, 25)
    assert record["parameters"] == sum(p.numel() for p in load_run(folder).model.parameters())
    assert record["versions"]["torch"] == torch.__version__
    rounding = 0.001 / record["wall_time_seconds"]  # of wall time, to milliseconds
    assert record["images_per_second"] == pytest.approx(25 * 64 / record["wall_time_seconds"], rel=rounding)
    assert "trainer.max_steps=25" in record["overrides"]


def test_the_averaged_weights_are_the_ones_loaded(finished: Path) -> None:
    checkpoint = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)
    average = next(s["average"] for s in checkpoint["callbacks"].values() if isinstance(s, dict) and "average" in s)
    loaded = load_run(finished)
    assert loaded.weights == "ema"
    assert not loaded.model.training
    for name, value in loaded.model.named_parameters():
        assert torch.equal(value, average[name])
        assert not torch.equal(value, checkpoint["state_dict"][f"model.{name}"])


def test_evaluations_live_side_by_side(run: Run, finished: Path) -> None:
    done = run("evaluate", f"run={finished}", "importance_samples=4", "max_images=100")
    assert "bound, K=4, 100 examples), ema weights of step 25" in done.out
    run("evaluate", f"run={finished}", "split=val", "importance_samples=1", "weights=last", "seed=3")
    figures = _json(finished / "metrics.json")
    assert set(figures) == {
        "test/bits_per_dim K=1",
        "test/bits_per_dim K=4 first 100",
        "val/bits_per_dim K=1 last.ckpt",
    }
    assert figures["test/bits_per_dim K=4 first 100"]["protocol"]["importance_samples"] == 4
    assert [figure["seed"] for figure in figures.values()] == [0, 0, 3]


def test_figures_are_told_also_where_they_cannot_be_kept(
    run: Run, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "metrics.json")

    monkeypatch.setattr("genmodels.runs.folder.write_text", refuse)
    done = run("evaluate", f"run={finished}", "max_images=10")
    assert "test/bits_per_dim" in done.out
    assert done.mistake == "the file system is read-only: metrics.json"


def test_metrics_that_do_not_apply_or_exist(run: Run, finished: Path) -> None:
    told = run("evaluate", f"run={finished}", "metrics=[likelihood,reverse_kl]").mistake
    assert told == "metrics=[reverse_kl] does not apply to NICE"
    assert run("evaluate", f"run={finished}", "metrics=[ais]").mistake == "metrics=[ais] does not apply to NICE"
    told = run("evaluate", f"run={finished}", "metrics=[likelyhood]").mistake
    assert told.startswith("metrics=[likelyhood]: there is no such metric; there is likelihood")


def test_the_last_weights_need_no_best(run: Run, finished: Path) -> None:
    best = finished / "checkpoints" / "best.ckpt"
    best.unlink()
    best.write_text("damaged")
    for program in ("evaluate", "sample"):
        assert "best.ckpt is not a whole checkpoint" in run(program, f"run={finished}").mistake
        assert run(program, f"run={finished}", "weights=last").code == 0


def test_data_that_has_moved_is_looked_for_where_the_user_says(run: Run, finished: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((finished / "config.yaml").read_text())
    config["data"].update(name="mnist", shape=[1, 28, 28], levels=256)
    (finished / "config.yaml").write_text(yaml.safe_dump(config))
    for program, *more in (("evaluate",), ("sample", "interpolate=true")):
        told = run(program, f"run={finished}", f"data_dir={tmp_path / 'there'}", *more).mistake
        assert f"MNIST not found: looked for {tmp_path / 'there'}" in told


def test_the_validation_figure_is_the_one_training_chose_by(run: Run, finished: Path) -> None:
    """Another draw of the noise, the same weights and images."""
    run("evaluate", f"run={finished}", "split=val", "importance_samples=1")
    figure = _json(finished / "metrics.json")["val/bits_per_dim K=1"]
    logged = [line.split(",") for line in (finished / "metrics.csv").read_text().splitlines()]
    best = min(float(value) for _, _, name, value in logged[1:] if name == "val/bits_per_dim")
    assert figure["mean"] == pytest.approx(best, abs=0.01)


def test_samples_are_a_function_of_the_seed(run: Run, finished: Path) -> None:
    files = run("sample", f"run={finished}", "n=9", "temperature=0.7").out.split()
    first = np.load(files[1])["samples"]
    assert first.shape == (9, 1, 8, 8)
    assert first.dtype == np.uint8
    assert first.max() <= 16
    assert Image.open(files[0]).size[0] > 100
    run("sample", f"run={finished}", "n=9", "temperature=0.7", f"out={finished}/again.png")
    assert np.array_equal(np.load(finished / "again.npz")["samples"], first)
    run("sample", f"run={finished}", "n=9", "temperature=0.7", "seed=1", f"out={finished}/other")
    assert not np.array_equal(np.load(finished / "other.npz")["samples"], first)


def test_a_walk_begins_and_ends_at_test_images(run: Run, finished: Path) -> None:
    files = run("sample", f"run={finished}", "n=16", "interpolate=true").out.split()
    walks = np.load(files[1])["samples"].reshape(2, 8, 64)
    config = load_run(finished).config
    test = torch.cat([x for x, _ in build(config["data"], "data").test_dataloader()]).flatten(1).numpy()
    for row in walks:
        assert (test == row[0]).all(1).any()
        assert (test == row[-1]).all(1).any()
        assert not (row[0] == row[-1]).all()


def test_labels_belong_to_class_conditional_models(run: Run, finished: Path) -> None:
    assert "not trained with classes" in run("sample", f"run={finished}", "labels=3").mistake


def test_a_resumed_run_is_the_uninterrupted_one(run: Run, finished: Path, tmp_path: Path) -> None:
    """25 steps end within the second epoch of 20. Time that was spent before counts on."""
    file = finished / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    checkpoint["callbacks"]["RunRecord"]["seconds"] = 5000.0
    file.unlink()
    torch.save(checkpoint, file)
    RunFolder(finished).update_record(earlier=[{"started": "long ago"}])
    wandb_id = RunFolder(finished).read_record()["wandb_id"]
    done = run("train", f"resume={finished}", "trainer.max_steps=45")
    assert done.code == 0, done.err
    _train(run, tmp_path / "straight", "trainer.max_steps=45")
    resumed, straight = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
        for folder in (finished, tmp_path / "straight")
    )
    assert resumed["global_step"] == straight["global_step"] == 45
    for name, value in straight["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], value), name
    record = _json(finished / "run.json")
    assert (record["status"], record["steps"], len(record["earlier"])) == ("finished", 45, 2)
    assert record["wandb_id"] == wandb_id
    assert 5000 < record["wall_time_seconds"] < 5100


def test_a_finished_run_needs_a_higher_limit(run: Run, finished: Path) -> None:
    before = (finished / "config.yaml").read_bytes()
    for more in ((), ("trainer.max_steps=24",), ("trainer.max_epochs=1",), ("trainer.max_epochs=9",)):
        told = run("train", f"resume={finished}", *more).mistake
        assert "has taken 25 steps, all that it is to take: raise trainer.max_steps" in told
    assert (finished / "config.yaml").read_bytes() == before


def test_a_truncated_checkpoint_ends_in_a_sentence(run: Run, finished: Path) -> None:
    for name in ("last", "best"):
        file = finished / "checkpoints" / f"{name}.ckpt"
        whole = file.read_bytes()
        file.unlink()
        file.write_bytes(whole[: len(whole) // 2])
    assert "not a whole checkpoint" in run("train", f"resume={finished}", "trainer.max_steps=45").mistake
    assert "not a whole checkpoint" in run("evaluate", f"run={finished}").mistake


def test_a_run_without_checkpoint_ends_in_a_sentence(run: Run, finished: Path) -> None:
    shutil.rmtree(finished / "checkpoints")
    assert "no checkpoint to go on from" in run("train", f"resume={finished}").mistake
    assert "has no checkpoint yet" in run("sample", f"run={finished}").mistake


def test_a_checkpoint_of_another_model_ends_in_a_sentence(finished: Path) -> None:
    config = finished / "config.yaml"
    config.write_text(config.read_text().replace("width: 16", "width: 8"))
    with pytest.raises(UserError, match="does not fit the model"):
        load_run(finished)


def test_a_config_that_names_other_code_is_refused(finished: Path) -> None:
    config = finished / "config.yaml"
    config.write_text(config.read_text().replace("genmodels.models.NICE", "os.system"))
    with pytest.raises(UserError, match="not allowed"):
        load_run(finished)


def test_vectors_are_reported_in_nats_and_drawn_as_points(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    printed = _train(run, folder, "data=toy2d", "data.validation=500", "trainer.max_steps=20")
    assert "test/nll" in printed
    assert "nats (exact" in printed
    figure = _json(folder / "metrics.json")["test/nll K=1"]
    assert (figure["unit"], figure["kind"]) == ("nats", "exact")
    assert math.isfinite(figure["mean"])
    files = run("sample", f"run={folder}", "n=50").out.split()
    assert np.load(files[1])["samples"].shape == (50, 2)


def test_two_runs_of_one_moment_get_two_folders(run: Run, tmp_path: Path) -> None:
    sweep = run("train", "-m", *TINY, "seed=0,1", "trainer.max_steps=1", f"hydra.sweep.dir={tmp_path}")
    assert sweep.code == 0, sweep.err
    folders = sorted(path.parent for path in tmp_path.glob("*/run.json"))
    assert [_json(folder / "run.json")["seed"] for folder in folders] == [0, 1]
    weights = [load_run(folder).model.state_dict() for folder in folders]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_diverging_weights_end_in_a_sentence_and_are_recorded(run: Run, tmp_path: Path) -> None:
    done = run("train", *TINY, "optimizer.lr=1e30", f"hydra.run.dir={tmp_path / 'run'}", "trainer.max_steps=50")
    assert "is not finite" in done.mistake
    record = _json(tmp_path / "run" / "run.json")
    assert record["status"] == "failed"
    assert "is not finite" in record["error"]
    assert not (tmp_path / "run" / "traceback.txt").exists()


def test_a_bug_leaves_its_traceback(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the run goes on and ends well."""
    folder = tmp_path / "run"
    config = compose([*TINY, "trainer.max_steps=25", "callbacks.checkpoints.every_n_steps=5"])
    with monkeypatch.context() as patch:
        patch.setattr("genmodels.experiment.score", lambda *arguments, **options: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(config, folder)
    record = _json(folder / "run.json")
    assert (record["status"], record["error"]) == ("failed", "ZeroDivisionError: division by zero")
    written = (folder / "traceback.txt").read_text()
    assert written.startswith("Traceback")
    assert "score_test" in written
    train({**config, "resume": str(folder)}, folder)
    record = _json(folder / "run.json")
    assert (record["status"], record["error"]) == ("finished", None)
    assert not (folder / "traceback.txt").exists()


def test_a_run_without_loggers(run: Run, tmp_path: Path) -> None:
    _train(run, tmp_path / "run", "trainer.max_steps=5", "logger=none")
    assert (tmp_path / "run" / "metrics.json").exists()
    assert not (tmp_path / "run" / "metrics.csv").exists()
