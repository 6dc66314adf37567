"""Which weights are the best."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from training_toys import DiagonalGaussian, digits, module, standard_callbacks, train, trainer

from genmodels.objectives.objective import Selection
from genmodels.training import read_checkpoint
from genmodels.training.csv_logger import read_series


@pytest.mark.parametrize(("direction", "best"), [("lower", min), ("higher", max)])
def test_best_is_what_the_direction_says(direction: str, best: Callable[[list[float]], float], tmp_path: Path) -> None:
    lightning = module(DiagonalGaussian((1, 8, 8), 17))
    lightning.selection = Selection("bits_per_dim", direction)  # type: ignore[arg-type]
    trainer(tmp_path, standard_callbacks(), max_epochs=3).fit(lightning, datamodule=digits())
    steps, values = read_series(tmp_path / "metrics.csv")["val/bits_per_dim"]
    assert len(set(values)) == 3
    saved = read_checkpoint(tmp_path / "checkpoints" / "best.ckpt")
    assert saved["global_step"] == steps[values.index(best(values))]


def test_the_best_of_before_a_resumption_stays_the_best(tmp_path: Path) -> None:
    train(tmp_path, max_epochs=1)
    last, best = (tmp_path / "checkpoints" / f"{name}.ckpt" for name in ("last", "best"))
    checkpoint = read_checkpoint(last)
    checkpoint["callbacks"]["Checkpoints"].update(best=-1.0)
    last.unlink()  # else it is the same file as best.ckpt
    torch.save(checkpoint, last)
    train(tmp_path, resume=True, max_epochs=2)
    assert (read_checkpoint(last)["global_step"], read_checkpoint(best)["global_step"]) == (8, 4)
