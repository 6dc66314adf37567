"""Exact resumption, from every checkpoint that a run writes."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import training_toys
from training_toys import train

from genmodels.errors import Interrupted
from genmodels.training import Checkpoints, Curves, read_checkpoint
from genmodels.training.csv_logger import read_series

HUNDRED_STEPS = {"max_epochs": 25, "every_n_steps": 3}

SCHEDULES: dict[str, dict[str, Any]] = {
    "every step": {"max_epochs": 3, "every_n_steps": 1},
    "only after validation": {"max_epochs": 3},
    "max_steps in mid-epoch": {"max_steps": 9, "every_n_steps": 2},
    "validation in mid-epoch": {"max_epochs": 3, "every_n_steps": 1, "val_check_interval": 2},
    "validation only in mid-epoch": {"max_epochs": 3, "every_n_steps": 1, "val_check_interval": 3},
    "validation across epochs": {
        "max_steps": 11,
        "every_n_steps": 1,
        "val_check_interval": 3,
        "check_val_every_n_epoch": None,
    },
    "rare validation, and one at the end": {"max_epochs": 3, "every_n_steps": 1, "check_val_every_n_epoch": 2},
    "rare validation": {"max_epochs": 4, "every_n_steps": 3, "check_val_every_n_epoch": 2},
    "accumulation": {"max_epochs": 3, "every_n_steps": 1, "accumulate_grad_batches": 2},
    "validation in mid-accumulation": {
        "max_epochs": 3,
        "every_n_steps": 1,
        "accumulate_grad_batches": 3,
        "val_check_interval": 2,
    },
}


class Archive(Checkpoints):
    """Keeps every version of last.ckpt, in the order written."""

    state_key = "Checkpoints"

    def _saved(self, pl_module: Any) -> None:
        super()._saved(pl_module)
        folder = Path(pl_module.trainer.default_root_dir)
        versions = folder / "versions"
        versions.mkdir(exist_ok=True)
        shutil.copy(folder / "checkpoints" / "last.ckpt", versions / f"{len(list(versions.iterdir())):03d}.ckpt")


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_checkpoint_resumes_exactly(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = tmp_path / "straight"
    with monkeypatch.context() as patch:
        patch.setattr("training_toys.Checkpoints", Archive)
        train(straight, **SCHEDULES[name])
    assert resumed_from_every_version(straight, straight, tmp_path, SCHEDULES[name]) >= 2


def resumed_from_every_version(run: Path, straight: Path, scratch: Path, options: dict[str, Any]) -> int:
    """Resume from each version that `run` has archived, expect the end of `straight`, and count them."""
    versions = sorted((run / "versions").iterdir())
    for version in versions:
        resumed = scratch / version.stem
        (resumed / "checkpoints").mkdir(parents=True)
        shutil.copy(version, resumed / "checkpoints" / "last.ckpt")
        shutil.copy(run / "metrics.csv", resumed)
        train(resumed, resume=True, **options)
        assert_same_run(resumed, straight)
    return len(versions)


def test_last_checkpoint_waits_for_the_end_of_an_accumulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validations after batches 2 and 4 of four, steps after 3 and 4."""
    monkeypatch.setattr("training_toys.Checkpoints", Archive)
    train(tmp_path, max_epochs=1, accumulate_grad_batches=3, val_check_interval=2)
    versions = sorted((tmp_path / "versions").iterdir())
    assert [read_checkpoint(version)["global_step"] for version in versions] == [1, 2]


def test_the_last_weights_are_validated(tmp_path: Path) -> None:
    train(tmp_path, max_steps=7)
    assert read_series(tmp_path / "metrics.csv")["val/bits_per_dim"][0] == [4, 7]


def test_last_checkpoint_is_of_the_last_step(tmp_path: Path) -> None:
    for options in ({"max_epochs": 2}, {"max_steps": 7}, {"max_steps": 7, "limit_val_batches": 0}):
        folder = tmp_path / str(options)
        fitted = train(folder, **options)
        assert read_checkpoint(folder / "checkpoints" / "last.ckpt")["global_step"] == fitted.global_step


def test_a_finished_run_can_be_prolonged(tmp_path: Path) -> None:
    train(tmp_path / "straight", max_steps=11)
    train(tmp_path / "prolonged", max_steps=6)
    train(tmp_path / "prolonged", resume=True, max_steps=11)
    last = [read_checkpoint(tmp_path / n / "checkpoints" / "last.ckpt") for n in ("straight", "prolonged")]
    assert_equal(last[0]["state_dict"], last[1]["state_dict"])


@pytest.mark.parametrize(
    "rule",
    [
        {"val_check_interval": 2},
        {"val_check_interval": 3},
        {"val_check_interval": 4},
        {"check_val_every_n_epoch": 2},
        {"check_val_every_n_epoch": 5},
        {"check_val_every_n_epoch": None, "val_check_interval": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "ends", [[{"max_epochs": 1}, {"max_epochs": 2}], [{"max_steps": 4}], [{"max_steps": 3}]], ids=str
)
def test_a_finished_run_can_be_prolonged_by_epochs(
    rule: dict[str, Any], ends: list[dict[str, int]], tmp_path: Path
) -> None:
    """Of four batches, whether the validation at an end was due or is for the end of the fit alone."""
    train(tmp_path / "straight", max_epochs=3, **rule)
    for number, end in enumerate(ends):
        train(tmp_path / "prolonged", resume=number > 0, **end, **rule)
    train(tmp_path / "prolonged", resume=True, max_epochs=3, **rule)
    last = [read_checkpoint(tmp_path / n / "checkpoints" / "last.ckpt") for n in ("straight", "prolonged")]
    for key in ("state_dict", "optimizer_states", "global_step", "epoch"):
        assert_equal(last[0][key], last[1][key])


@pytest.fixture(scope="module")
def hundred_steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("straight")
    train(folder, **HUNDRED_STEPS)
    return folder


@pytest.mark.parametrize("sent", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_stopped_process_resumes_exactly(sent: signal.Signals, hundred_steps: Path, tmp_path: Path) -> None:
    """Stopped at some moment: in a step, a validation, or while a checkpoint is written."""
    script = Path(training_toys.__file__).with_name("train_toy.py")
    process = subprocess.Popen(
        [sys.executable, script, tmp_path, json.dumps(HUNDRED_STEPS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    metrics = tmp_path / "metrics.csv"
    while not metrics.exists() or metrics.stat().st_size < 2000:
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(sent)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == (-sent if sent == signal.SIGKILL else 130)
    last = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["global_step"]
    assert last < 100, "the signal came too late to test anything"
    if sent != signal.SIGKILL:
        expected = f"Interrupted at step {last}; resume with: python -m genmodels train resume={tmp_path}"
        assert output.strip() == expected
    train(tmp_path, resume=True, **HUNDRED_STEPS)
    assert_same_run(tmp_path, hundred_steps)


LATE_ROWS = {"max_epochs": 3, "every_n_steps": 3, "log_every_n_steps": 4, "check_val_every_n_epoch": 3}


@pytest.fixture(scope="module")
def killed_after_five_steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint is of step 3, the first row of step 4 of four in an epoch, and step 5 is the last."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    script = Path(training_toys.__file__).with_name("train_toy.py")
    killed = subprocess.run([sys.executable, script, folder, json.dumps(LATE_ROWS), "5"], check=False)
    assert killed.returncode == -signal.SIGKILL
    return folder


@pytest.mark.parametrize("damage", ["none", "half a row", "no file", "empty file"])
def test_killed_with_a_checkpoint_from_before_the_first_row(
    damage: str, killed_after_five_steps: Path, tmp_path: Path
) -> None:
    stopped, straight = tmp_path / "stopped", tmp_path / "straight"
    shutil.copytree(killed_after_five_steps, stopped)
    assert read_checkpoint(stopped / "checkpoints" / "last.ckpt")["metrics_size"] == 0
    metrics = stopped / "metrics.csv"
    whole = metrics.read_text()
    assert whole.count("\n") == 5, "a header and the four figures of step 4"
    if damage == "no file":
        metrics.unlink()
    else:
        metrics.write_text({"none": whole, "half a row": whole[:-3], "empty file": ""}[damage])
    train(stopped, resume=True, extra=[Curves()], **LATE_ROWS)
    train(straight, **LATE_ROWS)
    assert_same_run(stopped, straight)
    assert (stopped / "curves.png").exists()


class Press(pl.Callback):
    """Sends this process a signal once: in hook `name`, after `step` optimiser steps, at the batch of that number."""

    def __init__(self, name: str, step: int, batch: int, sent: signal.Signals = signal.SIGINT) -> None:
        self.name, self.step, self.batch, self.sent = name, step, batch, sent

    def _press(self, name: str, step: int, batch: int) -> None:
        if (name, step, batch) == (self.name, self.step, self.batch):
            self.name = "done"
            signal.raise_signal(self.sent)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self._press("step", trainer.global_step, batch_idx)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._press("validation start", trainer.global_step, 0)

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._press("validation", trainer.global_step, batch_idx)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._press("validation end", trainer.global_step, 0)


@pytest.mark.parametrize(
    ("press", "options"),
    [
        (Press("step", 5, 1), {}),
        (Press("step", 6, 2, signal.SIGTERM), {}),
        (Press("step", 3, 3), {}),
        (Press("validation start", 4, 0), {}),
        (Press("validation", 4, 0), {}),
        (Press("validation", 4, 1), {}),
        (Press("validation end", 4, 0), {}),
        (Press("validation", 2, 1), {"val_check_interval": 2}),
        (Press("validation", 6, 0), {"val_check_interval": 2}),
        (Press("validation", 12, 0), {}),
        (Press("step", 0, 0), {"accumulate_grad_batches": 3}),
        (Press("validation", 0, 1), {"accumulate_grad_batches": 3, "val_check_interval": 2}),
    ],
    ids=lambda value: f"{value.name} {value.step}.{value.batch}" if isinstance(value, Press) else str(value),
)
def test_ctrl_c_anywhere_resumes_exactly(
    press: Press, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"max_epochs": 3, **options}
    train(tmp_path / "straight", **options)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted):
        train(tmp_path / "stopped", extra=[press], **options)
    assert signal.getsignal(signal.SIGINT) is handler
    with monkeypatch.context() as patch:
        patch.setattr("training_toys.Checkpoints", Archive)
        train(tmp_path / "stopped", resume=True, **options)
    assert_same_run(tmp_path / "stopped", tmp_path / "straight")
    assert resumed_from_every_version(tmp_path / "stopped", tmp_path / "straight", tmp_path, options) >= 1


def assert_same_run(found: Path, expected: Path) -> None:
    """Equal weights, averages, optimiser and counters at the end, and the same rows in metrics.csv."""
    a, b = (read_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (found, expected))
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "global_step", "epoch"):
        assert_equal(a[key], b[key], key)
    assert rows(found) == rows(expected)


def assert_equal(a: Any, b: Any, path: str = "") -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), path
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_equal(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_equal(x, y, f"{path}[{i}]")
    else:
        assert a == b, path


def rows(folder: Path) -> list[tuple[str, ...]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [tuple(row) for row in csv.reader(file) if row[2] != "time/images_per_second"]
