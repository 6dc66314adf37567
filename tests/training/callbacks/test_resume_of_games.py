"""Exact resumption of games: two nets, two optimisers, an average, an augmentation. Killed after a fork, for speed."""

import multiprocessing
import random
import signal
import time
from pathlib import Path

import pytest
from adversarial_toys import play_long
from test_resume import assert_equal, assert_same_run

from genmodels.training import read_checkpoint


@pytest.mark.parametrize(("kills", "max_steps"), [(2, 60), pytest.param(20, 300, marks=pytest.mark.slow)])
def test_a_killed_game_goes_on_exactly(kills: int, max_steps: int, tmp_path: Path) -> None:
    """Killed again and again at any moment: in a step, a validation, or while a checkpoint is written."""
    stopped, straight = tmp_path / "stopped", tmp_path / "straight"
    moments = random.Random(0)
    for _ in range(kills):
        kill_at_some_moment(stopped, max_steps, moments.uniform(0, 0.3))
    assert read_checkpoint(stopped / "checkpoints" / "last.ckpt")["global_step"] < max_steps, "all too late"
    resumed, played = play_long(stopped, max_steps, resume=True), play_long(straight, max_steps)
    assert_same_run(stopped, straight)
    ends = [read_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (stopped, straight)]
    assert_equal(ends[0]["optimizer_states"], ends[1]["optimizer_states"])
    assert len(ends[0]["optimizer_states"]) == 2
    assert ends[0]["state_dict"].keys() == resumed.state_dict().keys()
    assert {name.partition(".")[0] for name in ends[0]["state_dict"]} == {"model", "memory"}
    assert 0 < played.objective.augment.p < 1


def kill_at_some_moment(folder: Path, max_steps: int, later: float) -> None:
    """Of a process that goes on with the run, `later` seconds after it has written a checkpoint."""
    checkpoint = folder / "checkpoints" / "last.ckpt"
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    process = multiprocessing.get_context("fork").Process(target=play_long, args=(folder, max_steps, bool(before)))
    process.start()
    while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
        assert process.is_alive()
        time.sleep(0.002)
    time.sleep(later)
    process.kill()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
