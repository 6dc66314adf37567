"""Several processes that get the same config; Ctrl-C; a full disk."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from command_line import ROOT
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from genmodels.errors import Interrupted, UserError
from genmodels.runs.launch import _as_raised, launch

TINY = ("model=nice_small", "model.width=16", "model.num_hidden=1", "logger=csv")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def _note(folder: str, value: dict) -> int:
    rank = int(os.environ["RANK"])
    (Path(folder) / str(rank)).write_text(json.dumps(value))
    return rank


def _fail(kind: type[Exception]) -> None:
    if os.environ["RANK"] == "1":
        raise kind("what happened: here")


def test_every_process_gets_the_arguments_and_rank_0_answers(tmp_path: Path) -> None:
    assert launch(_note, 2, str(tmp_path), {"lr": 0.1}) == 0
    assert [json.loads((tmp_path / name).read_text()) for name in ("0", "1")] == [{"lr": 0.1}] * 2
    assert "RANK" not in os.environ


@pytest.mark.parametrize("kind", [UserError, pytest.param(Interrupted, marks=pytest.mark.slow)])
def test_a_workers_sentence_arrives(kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^what happened: here$"):
        launch(_fail, 2, kind)


def _die(rank: str) -> None:
    if os.environ["RANK"] == rank:
        os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


@pytest.mark.slow
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_killed_process_is_told_by_its_rank(rank: str) -> None:
    with pytest.raises(UserError, match=rf"^the process of rank {rank} was killed \(SIGKILL\)"):
        launch(_die, 2, rank)


def test_a_kill_counts_only_where_no_process_has_said_why(tmp_path: Path) -> None:
    said = tmp_path / "error.json"
    said.write_text(json.dumps({"message": {"message": "UserError: the disk is full", "extraInfo": {"timestamp": 2}}}))
    killed = ProcessFailure(1, 4242, -signal.SIGKILL, "")
    told = _as_raised(ChildFailedError("_work", {1: killed}))
    assert isinstance(told, UserError)
    assert str(told).startswith("the process of rank 1 was killed (SIGKILL), as the system does when memory runs out: ")
    assert str(told).endswith(" resume=<run folder> goes on from the run's last checkpoint")
    told = _as_raised(ChildFailedError("_work", {1: killed, 0: ProcessFailure(0, 4241, 1, str(said))}))
    assert str(told) == "the disk is full"
    bug = ChildFailedError("_work", {0: ProcessFailure(0, 4241, 1, "")})
    assert _as_raised(bug) is bug


@pytest.mark.slow
def test_a_workers_bug_arrives_with_its_traceback() -> None:
    with pytest.raises(Exception, match=r"(?s)in _fail.*ZeroDivisionError: what happened"):
        launch(_fail, 2, ZeroDivisionError)


@pytest.mark.slow
def test_a_sweep_of_distributed_runs(tmp_path: Path) -> None:
    """Each trial trains with its own value, in its own folder."""
    rates = ("0.001", "0.002")
    command = [sys.executable, str(ROOT / "train.py"), "-m", *TINY, "trainer=ddp_cpu", "trainer.max_steps=10"]
    command += [f"optimizer.lr={','.join(rates)}", f"hydra.sweep.dir={tmp_path}"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    runs = sorted(path.parent for path in tmp_path.glob("*/run.json"))
    assert len(runs) == 2
    for folder, rate in zip(runs, rates, strict=True):
        checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
        assert checkpoint["optimizer_states"][0]["param_groups"][0]["initial_lr"] == float(rate)
        assert json.loads((folder / "run.json").read_text())["status"] == "finished"
        assert json.loads((folder / "metrics.json").read_text())["test/bits_per_dim K=1"]["num_examples"] == 250


@pytest.mark.slow
def test_started_by_torchrun(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", str(ROOT / "train.py"), *TINY]
    command += ["trainer=ddp_cpu", "trainer.max_steps=5", f"output_dir={tmp_path}"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folders = list(tmp_path.glob("*/*"))
    assert len(folders) == 1
    assert (folders[0] / "metrics.json").exists()


@pytest.mark.parametrize("trainer", ["cpu", pytest.param("ddp_cpu", marks=pytest.mark.slow)])
def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(tmp_path: Path, trainer: str) -> None:
    command = [sys.executable, str(ROOT / "train.py"), *TINY, f"trainer={trainer}", f"hydra.run.dir={tmp_path / 'run'}"]
    process = subprocess.Popen(
        [*command, "trainer.max_epochs=100000"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal signals the whole group
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    next(line for line in process.stdout if line.startswith("step"))
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"resume with: python {ROOT / 'train.py'} resume={tmp_path / 'run'}" in told
    assert "Traceback" not in told
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert (record["status"], record["steps"]) == ("interrupted", saved["global_step"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_in_a_sentence(small_disk: Path) -> None:
    command = [sys.executable, str(ROOT / "train.py"), "model=nice_small", "trainer=cpu", "trainer.max_steps=50"]
    done = subprocess.run(
        [*command, f"hydra.run.dir={small_disk / 'run'}"], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "disk" in done.stderr
