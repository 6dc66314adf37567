"""A training that is killed at twenty random moments ends with the run folder of one that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT
from test_resume import assert_equal

from genmodels.runs.folder import RunFolder
from genmodels.training import read_checkpoint
from genmodels.training.csv_logger import read_rows

COMMON = ("trainer=cpu", "logger=csv", "callbacks.checkpoints.every_n_steps=3", "callbacks.samples.n=4")
RUNS = {
    "flow, averaged and accumulated": (
        *("model=glow_small", "model.num_steps=1", "model.width=8", "callbacks.ema.decay=0.9"),
        *("trainer.accumulate_grad_batches=2", "trainer.max_steps=600", "trainer.val_check_interval=7"),
    ),
    "latents, two workers": (
        *("model=vae_small", "data.num_workers=2", "data.shift=0.1", "trainer.max_steps=2000"),
        "trainer.val_check_interval=11",
    ),
    "two optimisers": ("model=dcgan_small", "model.width=8", "trainer.max_steps=600", "callbacks.ema.decay=0.9"),
    "two processes": ("model=nice_small", "trainer=ddp_cpu", "trainer.max_steps=900", "trainer.val_check_interval=7"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_twenty_kills_leave_no_trace(name: str, tmp_path: Path) -> None:
    """In a step, a validation, a checkpoint or a picture, or before there is any; not a word is kept of the kills."""
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    overrides = (*COMMON, *RUNS[name])
    assert _start(straight, overrides).wait() == 0
    moments, kills = random.Random(name), 0
    while kills < 20 and not _is_finished(stopped):
        kills += _killed(_start(stopped, overrides), stopped, moments.uniform(0, 1))
    assert kills >= 10, "most kills came too late"
    if not _is_finished(stopped):
        assert _start(stopped, overrides).wait() == 0
    _assert_same_folder(stopped, straight)


def _start(folder: Path, overrides: tuple[str, ...]) -> subprocess.Popen:
    """Of a new run, or of one that goes on if it has a checkpoint; in a group of its own, which can be killed whole."""
    goes_on = (folder / "checkpoints" / "last.ckpt").exists()
    what = [f"resume={folder}"] if goes_on else [*overrides, f"hydra.run.dir={folder}"]
    if not goes_on and folder.exists():
        folder.rename(folder.with_name(f"{folder.name}-{time.monotonic_ns()}"))  # killed before its first checkpoint
    return subprocess.Popen(
        [sys.executable, "train.py", *what], cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True
    )


def _killed(process: subprocess.Popen, folder: Path, later: float) -> int:
    """1 if the process was killed, so long after it has begun to write; 0 if it ended before."""
    record = folder / "run.json"
    began = time.time()
    while process.poll() is None and not (record.exists() and record.stat().st_mtime > began):
        time.sleep(0.01)
    time.sleep(later)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    return int(process.wait() == -signal.SIGKILL)


def _is_finished(folder: Path) -> bool:
    record = folder / "run.json"
    return record.exists() and json.loads(record.read_text())["status"] == "finished"


def _assert_same_folder(stopped: Path, straight: Path) -> None:
    ends = [read_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (stopped, straight)]
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "loops", "global_step", "epoch"):
        assert_equal(ends[0][key], ends[1][key])
    assert_equal(*(end["callbacks"].get("EMA", {}) for end in ends))
    rows = [
        [row for row in read_rows(f / "metrics.csv") if not row[2].startswith("time/")] for f in (stopped, straight)
    ]
    assert rows[0] == rows[1]
    records = [json.loads((folder / "run.json").read_text()) for folder in (stopped, straight)]
    assert _lasting(records[0]) == _lasting(records[1])
    assert RunFolder(stopped).read_metrics() == RunFolder(straight).read_metrics()
    pictures = [{p.name: p.read_bytes() for p in (folder / "samples").glob("*.png")} for folder in (stopped, straight)]
    assert pictures[0] == pictures[1]


def _rows(folder: Path) -> list[Any]:
    return [row for row in read_rows(folder / "metrics.csv") if not row[2].startswith("time/")]


def _lasting(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record.get(key) for key in ("name", "seed", "status", "parameters", "steps", "epochs")}
