"""What is said of a fit's length before it is over."""

from pathlib import Path
from typing import Any

import pytest
from training_toys import train

from genmodels.training.position import total_steps


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"max_epochs": 2, "accumulate_grad_batches": 3}, 4),
        ({"max_epochs": 2, "max_steps": 3}, 3),
        ({"max_epochs": 1, "max_steps": 9}, 4),
    ],
    ids=str,
)
def test_the_total_is_what_training_takes(options: dict[str, Any], steps: int, tmp_path: Path) -> None:
    """Four batches an epoch."""
    run = train(tmp_path, **options)
    assert total_steps(run) == run.global_step == steps
