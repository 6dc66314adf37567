from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from training_toys import DiagonalGaussian, digits, module, standard_callbacks, train, trainer

from genmodels.errors import UserError
from genmodels.training import EMA, read_checkpoint


class Watch(pl.Callback):
    """Notes the weights after every batch and in every validation."""

    def __init__(self) -> None:
        self.start: torch.Tensor | None = None
        self.steps: list[torch.Tensor] = []
        self.validations: list[torch.Tensor] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self.start is None:
            self.start = pl_module.model.loc.detach().clone()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        self.steps.append(pl_module.model.loc.detach().clone())

    def on_validation_batch_start(self, trainer: pl.Trainer, pl_module: Any, *args: Any, **kwargs: Any) -> None:
        self.validations.append(pl_module.model.loc.detach().clone())


def test_average_follows_its_recursion_and_is_what_validation_sees(tmp_path: Path) -> None:
    watch = Watch()
    train(tmp_path, max_epochs=2, extra=[watch], limit_val_batches=1)
    average = watch.start
    assert average is not None
    assert average.abs().max() > 1, "the average must start after data-dependent initialisation"
    for step, weights in enumerate(watch.steps, start=1):
        average = 0.9 * average + 0.1 * weights
        if step in (4, 8):
            torch.testing.assert_close(watch.validations[step // 4 - 1], average)
    state = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    torch.testing.assert_close(state["callbacks"]["EMA"]["average"]["loc"], average)
    assert torch.equal(state["state_dict"]["model.loc"], watch.steps[-1])


def test_average_moves_with_the_steps_not_with_the_batches(tmp_path: Path) -> None:
    """Of four batches in an epoch the third and the last end in a step."""
    watch = Watch()
    train(tmp_path, max_epochs=2, extra=[watch], accumulate_grad_batches=3)
    average = watch.start
    assert average is not None
    for batch in (2, 3, 6, 7):
        average = 0.9 * average + 0.1 * watch.steps[batch]
    state = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    torch.testing.assert_close(state["callbacks"]["EMA"]["average"]["loc"], average)


def test_saved_average_loads_into_the_model(tmp_path: Path) -> None:
    train(tmp_path, max_epochs=1)
    model = DiagonalGaussian((1, 8, 8), 17)
    model.load_state_dict(read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["callbacks"]["EMA"]["average"])
    assert bool(model.initialized)


class Fails(pl.Callback):
    def on_validation_batch_end(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("validation broke")


def test_raw_weights_come_back_when_validation_fails(tmp_path: Path) -> None:
    watch = Watch()
    lightning = module(DiagonalGaussian((1, 8, 8), 17))
    broken = trainer(tmp_path, [watch, *standard_callbacks(), Fails()], max_epochs=1)
    with pytest.raises(RuntimeError, match="validation broke"):
        broken.fit(lightning, datamodule=digits())
    assert not torch.equal(watch.validations[-1], watch.steps[-1])
    assert torch.equal(lightning.model.loc, watch.steps[-1])


def test_averages_nest(tmp_path: Path) -> None:
    ema = EMA(0.5)
    lightning = module(DiagonalGaussian((1, 8, 8), 17))
    trainer(tmp_path, [ema, *standard_callbacks()[1:]], max_epochs=1).fit(lightning, datamodule=digits())
    raw = lightning.model.loc.detach().clone()
    with ema.averaged():
        outer = lightning.model.loc.detach().clone()
        with ema.averaged():
            assert torch.equal(lightning.model.loc, outer)
        assert torch.equal(lightning.model.loc, outer)
    assert not torch.equal(outer, raw)
    assert torch.equal(lightning.model.loc, raw)


def test_off_means_off(tmp_path: Path) -> None:
    watch = Watch()
    lightning = module(DiagonalGaussian((1, 8, 8), 17))
    callbacks = [watch, *standard_callbacks(decay=None)]
    trainer(tmp_path, callbacks, max_epochs=1).fit(lightning, datamodule=digits())
    assert torch.equal(watch.validations[-1], watch.steps[-1])
    assert "EMA" not in read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["callbacks"]
    with pytest.raises(UserError, match=r"callbacks\.ema\.decay=1\.0"):
        EMA(1.0)


def test_the_average_is_the_weights_at_first_and_never_older_than_its_share_of_the_run() -> None:
    """Half of it, at ramp 0.05, is of the last 0.05 t steps; 0.5 ** (1 / 10) = 0.933 after 200."""
    ema = EMA(0.999, start=3, ramp=0.05)
    expected = {0: 0.0, 2: 0.0, 3: 0.5 ** (1 / 0.15), 20: 0.5, 200: 0.93303, 1_000: 0.98623, 100_000: 0.999}
    assert {steps: ema.decay_after(steps) for steps in expected} == pytest.approx(expected, rel=1e-5)
    assert [EMA(0.999, start=2).decay_after(steps) for steps in (0, 1, 2, 3)] == [0, 0, 0.999, 0.999]
    assert EMA(0.999, ramp=0.05).decay_after(0) == 0


def test_start_and_ramp_count_steps_of_training_also_in_a_resumed_run(tmp_path: Path) -> None:
    """Four steps an epoch; after step n, of which the first three leave nothing of the average, decay has n - 1."""
    options: dict[str, Any] = {"start": 3, "ramp": 0.5}
    watch = Watch()
    for steps in (5, 8):
        lightning = module(DiagonalGaussian((1, 8, 8), 17))
        callbacks = [EMA(0.9, **options), *standard_callbacks()[1:], watch]
        resumed = tmp_path / "checkpoints" / "last.ckpt" if steps == 8 else None
        run = trainer(tmp_path, callbacks, max_steps=steps)
        run.fit(lightning, datamodule=digits(), ckpt_path=resumed, weights_only=True)
    average = watch.steps[2]
    for before, weights in enumerate(watch.steps[3:], start=3):
        decay = min(0.9, 0.5 ** (1 / (0.5 * before)))
        average = decay * average + (1 - decay) * weights
    state = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert len(watch.steps) == 8
    torch.testing.assert_close(state["callbacks"]["EMA"]["average"]["loc"], average)


@pytest.mark.parametrize(("options", "key"), [({"start": -1}, "start"), ({"ramp": 0.0}, "ramp")])
def test_out_of_range(options: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError, match=rf"callbacks\.ema\.{key}"):
        EMA(0.9, **options)
