"""The last weights are validated, wherever the fit ends."""

from pathlib import Path

import pytest
from training_toys import train

from genmodels.training.csv_logger import read_rows


@pytest.mark.parametrize(
    ("limits", "validated"),
    [
        ({"max_epochs": 3, "check_val_every_n_epoch": 2}, [8, 12]),
        ({"max_epochs": 2, "check_val_every_n_epoch": 2}, [8]),
        ({"max_steps": 6, "check_val_every_n_epoch": 1}, [4, 6]),
        ({"max_steps": 6, "check_val_every_n_epoch": 5}, [6]),
        ({"max_steps": 7, "check_val_every_n_epoch": None, "val_check_interval": 3}, [3, 6, 7]),
    ],
)
def test_the_last_step_is_validated_once(limits: dict[str, int], validated: list[int], tmp_path: Path) -> None:
    """Of epochs of four steps."""
    train(tmp_path, **limits)
    rows = read_rows(tmp_path / "metrics.csv")
    assert [step for step, _, name, _ in rows if name == "val/bits_per_dim"] == validated
