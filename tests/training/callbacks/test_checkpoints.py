"""Which weights are the best, and which are not saved at all."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from training_toys import DiagonalGaussian, digits, module, standard_callbacks, train, trainer

from genmodels.errors import UserError
from genmodels.objectives.objective import Selection
from genmodels.training import NaNGuard, read_checkpoint
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


class Poison(pl.Callback):
    """After the step it makes one number of the module's state NaN."""

    def __init__(self, step: int, name: str) -> None:
        self.step, self.name = step, name

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        if pl_module.steps_taken == self.step:
            pl_module.state_dict()[self.name].view(-1)[0] = math.nan


@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_weights_that_are_not_finite_are_not_saved_over_finite_ones(policy: Any, tmp_path: Path) -> None:
    others = [c for c in standard_callbacks(every_n_steps=1) if not isinstance(c, NaNGuard)]
    run = trainer(tmp_path, [Poison(3, "model.loc"), NaNGuard(policy), *others], max_epochs=2)
    with pytest.raises(UserError, match=r"after step 3: the parameter model\.loc is not finite.*last\.ckpt") as caught:
        run.fit(module(DiagonalGaussian((1, 8, 8), 17)), datamodule=digits())
    saved = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert saved["global_step"] == 2
    assert saved["state_dict"]["model.loc"].isfinite().all()
    assert "nan_guard" not in str(caught.value)  # no policy would have helped


def test_skipping_ends_where_the_weights_are_not_finite(tmp_path: Path) -> None:
    others = [c for c in standard_callbacks() if not isinstance(c, NaNGuard)]
    run = trainer(tmp_path, [Poison(2, "model.loc"), NaNGuard("skip"), *others], max_epochs=2)
    with pytest.raises(UserError, match=r"at step 3: the parameter model\.loc is not finite\. There is no checkpoint"):
        run.fit(module(DiagonalGaussian((1, 8, 8), 17)), datamodule=digits())
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()


def test_advice_does_not_name_what_is_set_already(tmp_path: Path) -> None:
    run = trainer(tmp_path, [Poison(2, "model.loc"), *standard_callbacks()], max_epochs=1, gradient_clip_val=50)
    with pytest.raises(UserError, match=r"a smaller optimizer\.lr \(now 0\.0\d+\), a smaller .*clip_val \(now 50\)"):
        run.fit(module(DiagonalGaussian((1, 8, 8), 17)), datamodule=digits())
