"""Jobs of SLURM: how a task knows of them, and two nodes that run one, are signalled, requeued, and go on."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import offline_wandb
import pytest
import pytorch_lightning as pl
from command_line import ROOT
from training_toys import train
from two_nodes import is_possible, two_nodes

from genmodels import slurm
from genmodels.config.combinations import combination_errors
from genmodels.config.compose import compose
from genmodels.config.devices import global_rank, started_by_a_launcher
from genmodels.errors import Requeued, UserError
from genmodels.runs.folder import RunFolder
from genmodels.runs.unfinished import requeued_run
from genmodels.training import read_checkpoint
from genmodels.training.csv_logger import read_series

TINY = ("model=nice_small", "model.width=16", "model.num_hidden=1", "callbacks.samples=null", "callbacks.curves=null")
STEPS = 800


@pytest.fixture
def in_a_step(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what srun sets."""

    def enter(tasks: int = 1, rank: int = 0, restarts: int = 0) -> None:
        variables = {"JOB_ID": 17, "STEP_ID": 0, "STEP_NUM_TASKS": tasks, "PROCID": rank, "RESTART_COUNT": restarts}
        for name, value in variables.items():
            monkeypatch.setenv(f"SLURM_{name}", str(value))

    return enter


def test_a_task_knows_its_place(in_a_step: Callable[..., None]) -> None:
    assert (slurm.tasks(), slurm.step(), started_by_a_launcher(), global_rank()) == (0, None, False, 0)
    in_a_step(tasks=1)
    assert (slurm.tasks(), slurm.step(), started_by_a_launcher(), global_rank()) == (1, "17.0", False, 0)
    in_a_step(tasks=4, rank=3)
    assert (slurm.tasks(), started_by_a_launcher(), global_rank()) == (4, True, 3)
    (error,) = combination_errors(compose(["trainer=ddp_cpu", "trainer.devices=1", "trainer.num_nodes=2"]))
    assert error.startswith("torchrun or srun has started 4 processes, and trainer.devices x trainer.num_nodes is 2")


def test_a_batch_script_is_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the variables of its job."""
    for name, value in {"JOB_ID": "17", "PROCID": "0", "NTASKS": "2"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert (slurm.tasks(), started_by_a_launcher()) == (0, False)


class Signalled(pl.Callback):
    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 2:
            signal.raise_signal(signal.SIGUSR1)


def test_the_signal_leaves_a_checkpoint(in_a_step: Callable[..., None], tmp_path: Path) -> None:
    in_a_step()
    with pytest.raises(Requeued, match="Interrupted at step 3; SLURM starts the job again"):
        train(tmp_path, extra=[Signalled()], max_epochs=1)
    assert read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 3


def test_a_requeued_job_goes_on_with_its_own_run(in_a_step: Callable[..., None], tmp_path: Path) -> None:
    config = compose([f"output_dir={tmp_path}"])
    runs = {step: RunFolder(tmp_path / config["name"] / step) for step in ("16.0", "17.0", "17.1")}
    for step, folder in runs.items():
        folder.update_record(slurm=step)
        folder.checkpoints.mkdir()
        folder.last.touch()
    in_a_step(restarts=0)
    assert requeued_run(config, tmp_path / "new") is None
    in_a_step(restarts=1)
    found = requeued_run(config, tmp_path / "new")
    assert found is not None
    assert found.path == runs["17.0"].path
    runs["17.0"].last.unlink()
    assert requeued_run(config, tmp_path / "new") is None
    runs["17.0"].last.touch()
    named = requeued_run({**config, "output_dir": str(tmp_path / "elsewhere")}, runs["17.0"].path)
    assert named is not None
    assert named.path == runs["17.0"].path


def test_a_refusal_of_slurm_is_told(in_a_step: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    in_a_step()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="SLURM does not start job 17 again"):
        slurm.requeue()


# ---- for real


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    if not is_possible():
        pytest.skip("needs Debian's slurm-wlm and munge, and to be root")
    (tmp_path / "cluster").mkdir()
    with two_nodes(tmp_path / "cluster") as environment:
        yield environment | {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}


@pytest.mark.slow
def test_two_nodes_are_signalled_requeued_and_go_on(cluster: dict[str, str], tmp_path: Path) -> None:
    log, command = tmp_path / "log", [sys.executable, str(ROOT / "train.py"), *TINY]
    command += ["trainer=ddp_cpu", "trainer.devices=1", "trainer.num_nodes=2", f"trainer.max_steps={STEPS}"]
    command += ["trainer.max_epochs=-1", f"output_dir={tmp_path / 'runs'}"]
    script = tmp_path / "job.sh"
    script.write_text(f"#!/bin/bash\nsrun {' '.join(command)}\n")
    options = ["--nodes=2", "--ntasks-per-node=1", "--requeue", "--open-mode=append", f"--output={log}", "--parsable"]
    job = _slurm(cluster, "sbatch", *options, str(script)).strip()
    _wait_for(lambda: log.exists() and "\nstep " in log.read_text(), log)
    _slurm(cluster, "scancel", "--signal=USR1", job)
    _wait_for(lambda: "Restarts=1" in _slurm(cluster, "scontrol", "show", "job", job), log)
    _wait_for(lambda: "JobState=PENDING" in _slurm(cluster, "scontrol", "show", "job", job), log)
    _slurm(cluster, "scontrol", "update", f"JobId={job}", "StartTime=now")  # or it would wait for two minutes
    _wait_for(lambda: "JobState=COMPLETED" in _slurm(cluster, "scontrol", "show", "job", job), log)
    (folder,) = (tmp_path / "runs").glob("*/*")
    record = json.loads((folder / "run.json").read_text())
    assert (record["status"], record["steps"], record["slurm"]) == ("finished", STEPS, f"{job}.0")
    assert len(record["earlier"]) == 1
    steps, values = read_series(folder / "metrics.csv")["train/bits_per_dim"]
    assert steps == list(range(10, STEPS + 1, 10))
    files = sorted((folder / "wandb").glob("offline-run-*/*.wandb"))
    parts = [offline_wandb.read(file) for file in files]
    assert [part.id for part in parts] == [record["wandb_id"]] * 2
    assert all(part.ended for part in parts)
    shown = [value for part in parts for value in part.series("train/bits_per_dim")[1]]
    assert shown == pytest.approx(values)


@pytest.mark.slow
def test_a_sweep_by_submitit(cluster: dict[str, str], tmp_path: Path) -> None:
    """Each trial two processes, which its one task starts, with the trial's own value."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    command = [sys.executable, str(ROOT / "train.py"), "-m", *TINY, "trainer=ddp_cpu", "trainer.max_steps=10"]
    command += ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=main", "optimizer.lr=0.001,0.002"]
    command += [f"hydra.sweep.dir={tmp_path / 'sweep'}", "logger=csv"]
    done = subprocess.run(command, env=cluster, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rates = []
    for record in sorted((tmp_path / "sweep").glob("*/run.json")):
        assert json.loads(record.read_text())["status"] == "finished"
        groups = read_checkpoint(record.parent / "checkpoints" / "last.ckpt")["optimizer_states"][0]["param_groups"]
        rates.append(groups[0]["initial_lr"])
    assert rates == [0.001, 0.002]


def _slurm(environment: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def _wait_for(condition: Callable[[], bool], log: Path, patience: float = 240.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, log.read_text() if log.exists() else "the job has not begun"
        time.sleep(0.2)
