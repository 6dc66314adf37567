"""A terminal that is closed, and signals before there is a step to finish."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from command_line import ROOT

TINY = ("model=nice_small", "model.width=16", "model.num_hidden=1", "logger=csv", "trainer=cpu")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def _read_until(terminal: int, beginning: bytes) -> None:
    seen = b""
    while beginning not in seen:
        seen += os.read(terminal, 1024)


def test_a_closed_terminal_leaves_a_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, str(ROOT / "train.py"), *TINY, "trainer.max_epochs=100000", f"hydra.run.dir={folder}"]
    command += ["trainer.check_val_every_n_epoch=1000000", "callbacks.checkpoints.every_n_steps=1000000"]
    process, terminal = pty.fork()
    if process == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever these tests were started by: nohup would be passed on
        os.execve(sys.executable, command, ENVIRONMENT)
    _read_until(terminal, b"ETA")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 130
    record = json.loads((folder / "run.json").read_text())
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert (record["status"], record["steps"]) == ("interrupted", saved["global_step"])


@pytest.mark.slow
def test_a_signal_before_the_first_step_is_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *TINY, f"hydra.run.dir={folder}"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    next(line for line in process.stdout if line.startswith("run "))
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "nterrupted" in told
    assert "Traceback" not in told
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
