"""Training ends in order after its seconds, and a resumed run has what is left of them."""

import time
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from training_toys import train

from genmodels.errors import UserError
from genmodels.training import TimeLimit
from genmodels.training.csv_logger import read_rows

A_STEP = 0.1  # CPU seconds that each batch takes at least


class Burner(pl.Callback):
    """Takes CPU seconds in every batch and more in every validation, or only time of the clock."""

    def __init__(self, burns: bool = True) -> None:
        self._burns = burns

    def on_train_batch_start(self, *arguments: Any) -> None:
        self._take(A_STEP)

    def on_validation_start(self, *arguments: Any) -> None:
        self._take(5 * A_STEP)

    def _take(self, seconds: float) -> None:
        if not self._burns:
            time.sleep(seconds)
            return
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass


def validated(folder: Path) -> list[int]:
    return [step for step, _, name, _ in read_rows(folder / "metrics.csv") if name == "val/bits_per_dim"]


@pytest.mark.parametrize("clock", ["cpu", "wall"])
def test_seconds_are_those_of_training_and_validations(clock: Any, tmp_path: Path) -> None:
    fitted = train(tmp_path, extra=[Burner(), TimeLimit(12.5 * A_STEP, clock)], max_steps=10_000)
    steps = fitted.lightning_module.steps_taken
    # A validation after five, and three more at most. By the clock a busy machine does less.
    assert (6 if clock == "cpu" else 1) <= steps <= 8
    assert validated(tmp_path)[-1] == steps
    resumed = train(tmp_path, True, extra=[Burner(), TimeLimit(17.5 * A_STEP, clock)], max_steps=10_000)
    assert steps < resumed.lightning_module.steps_taken <= 13
    again = train(tmp_path, True, extra=[Burner(), TimeLimit(17.5 * A_STEP, clock)], max_steps=10_000)
    assert again.lightning_module.steps_taken == resumed.lightning_module.steps_taken + 1  # no seconds are left


def test_waiting_takes_no_cpu_seconds(tmp_path: Path) -> None:
    limit = TimeLimit(7.5 * A_STEP, "cpu")
    fitted = train(tmp_path, extra=[Burner(burns=False), limit], max_steps=12, limit_val_batches=0)
    assert fitted.lightning_module.steps_taken == 12


def test_the_last_weights_are_validated_and_no_gradients_left_waiting(tmp_path: Path) -> None:
    """Of epochs of five batches, whose second window is of one alone."""
    extra = [Burner(), TimeLimit(1.5 * A_STEP, "cpu")]
    fitted = train(tmp_path, extra=extra, max_epochs=50, check_val_every_n_epoch=7, accumulate_grad_batches=4)
    assert fitted.fit_loop.batch_idx + 1 == 4
    assert validated(tmp_path) == [fitted.lightning_module.steps_taken] == [1]


def test_no_seconds_are_refused() -> None:
    with pytest.raises(UserError, match=r"callbacks\.time_limit\.seconds=0 must be positive"):
        TimeLimit(0)
