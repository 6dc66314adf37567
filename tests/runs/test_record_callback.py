"""What run.json says of the training."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
from training_toys import train

from genmodels.runs.folder import RunFolder
from genmodels.runs.record_callback import RunRecord


def test_steps_are_updates_and_images_are_those_of_every_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four batches of 256 make two steps, whatever the machine's speed: each look at the clock finds a second more."""
    monkeypatch.setattr("genmodels.runs.record_callback.time", SimpleNamespace(monotonic=itertools.count().__next__))
    folder = RunFolder(tmp_path)
    train(tmp_path, max_epochs=1, accumulate_grad_batches=3, extra=[RunRecord(folder, 256)])
    record = folder.read_record()
    assert (record["steps"], record["epochs"]) == (2, 1)
    assert record["images_per_second"] * record["wall_time_seconds"] == pytest.approx(4 * 256, abs=0.05)


@pytest.mark.parametrize("limit", [{"max_epochs": 2}, {"max_steps": 8}, {"max_steps": 7}], ids=str)
def test_epochs_are_full_passes_wherever_a_run_was_resumed(limit: dict[str, int], tmp_path: Path) -> None:
    """Four batches an epoch."""
    folder, last = RunFolder(tmp_path), limit.get("max_steps", 8)
    for steps in (3, 4, 6, last):
        limits = {"max_steps": steps} if steps < last else limit
        train(tmp_path, resume=steps > 3, extra=[RunRecord(folder, 256)], **limits)
        assert folder.read_record()["epochs"] == steps // 4
