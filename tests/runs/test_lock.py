"""A run folder belongs to one run, and while that trains to one process."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from genmodels.config.compose import compose
from genmodels.errors import UserError
from genmodels.experiment import train
from genmodels.runs.lock import held

TINY = ("model=nice_small", "model.width=8", "trainer=cpu", "logger=csv", "trainer.max_steps=2")
HOLD = """
import sys, time
from pathlib import Path
from genmodels.runs.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(UserError, match="is in use: another process trains in it"), held(tmp_path):
        pass
    other.kill()
    other.wait()
    time.sleep(0.1)
    with held(tmp_path):
        pass


def test_a_run_in_use_is_not_trained(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with held(folder), pytest.raises(UserError, match="is in use"):
        train(compose(TINY), folder)
    train(compose(TINY), folder)
    before = (folder / "run.json").read_bytes()
    with held(folder), pytest.raises(UserError, match="is in use"):
        train(compose([*TINY, f"resume={folder}"]), folder, ["trainer.max_steps=4"])
    assert (folder / "run.json").read_bytes() == before


def test_a_second_run_needs_a_second_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(compose(TINY), folder)
    rows = (folder / "metrics.csv").read_bytes()
    with pytest.raises(UserError, match=r"holds a run already: resume=.*/run goes on with it"):
        train(compose([*TINY, "seed=1"]), folder)
    assert (folder / "metrics.csv").read_bytes() == rows


def test_a_mistake_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        train(compose([*TINY, "data.batch_size=0"]), tmp_path / "run")
    assert not (tmp_path / "run").exists()
