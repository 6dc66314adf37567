from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_toys import DiagonalGaussian, digits, module, standard_callbacks, trainer

from genmodels.errors import UserError
from genmodels.training import Checkpoints, NaNGuard
from genmodels.training.csv_logger import read_series


class Breaks(DiagonalGaussian):
    """Its loss, or the gradient of `log_scale` alone, is not finite at the training steps named.

    Weight decay leaves `log_scale` out, which is thus in a group of its own.
    """

    def __init__(self, steps: tuple[int, ...], in_gradient: bool = False) -> None:
        super().__init__((1, 8, 8), 17)
        self.steps, self.in_gradient, self.step = steps, in_gradient, -1  # the first call initialises

    def decayed_parameters(self) -> list[nn.Parameter]:
        return [self.loc]

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        log_prob = super().log_prob(x, y)
        if not self.training:
            return log_prob
        self.step += 1
        if self.step not in self.steps:
            return log_prob
        if self.in_gradient:  # d sqrt(u) / du at u = 0
            return log_prob + (self.log_scale - self.log_scale.detach()).sum().sqrt()
        return log_prob * float("nan")


def fit(
    folder: Path, model: DiagonalGaussian, guard: NaNGuard, resume: bool = False, max_epochs: int = 2, **options: Any
) -> DiagonalGaussian:
    callbacks = [c for c in standard_callbacks() if not isinstance(c, NaNGuard | Checkpoints)]
    run = trainer(folder, [guard, *callbacks, Checkpoints(2)], max_epochs=max_epochs, **options)
    checkpoint = folder / "checkpoints" / "last.ckpt" if resume else None
    run.fit(module(model), datamodule=digits(), ckpt_path=checkpoint, weights_only=True)
    return model


def test_stop_names_step_quantity_checkpoint_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        fit(tmp_path, Breaks((3,)), NaNGuard())
    message = str(caught.value)
    assert "stopped at step 3: the loss (nan) is not finite" in message
    assert f"{tmp_path}/checkpoints/last.ckpt" in message
    assert "smaller optimizer.lr" in message
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 2
    assert last["state_dict"]["model.loc"].isfinite().all()


def test_stop_names_the_parameter_whose_gradient_broke(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"step 1: the gradient of model\.log_scale is not finite.*no checkpoint"):
        fit(tmp_path, Breaks((1,), in_gradient=True), NaNGuard())


@pytest.mark.parametrize("in_gradient", [False, True])
def test_skip_leaves_the_weights_and_counts(in_gradient: bool, tmp_path: Path) -> None:
    model = fit(tmp_path, Breaks((3, 6), in_gradient), NaNGuard("skip"))
    assert all(p.isfinite().all() for p in model.parameters())
    series = read_series(tmp_path / "metrics.csv")
    assert series["train/skipped_steps"] == ([1, 2, 3, 4, 5, 6, 7, 8], [0, 0, 1, 1, 1, 2, 2, 2])


def test_a_skipped_step_moves_nothing(tmp_path: Path) -> None:
    model = Breaks(tuple(range(1, 9)))
    before = {}
    original = NaNGuard.on_before_optimizer_step

    class Noting(NaNGuard):
        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            before.setdefault("loc", pl_module.model.loc.detach().clone())
            original(self, trainer, pl_module, optimizer)

    fit(tmp_path, model, Noting("skip"))
    assert torch.equal(model.loc, before["loc"])


def test_too_many_skips_in_a_row_stop(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="stopped at step 5 after 2 steps skipped in a row: the loss"):
        fit(tmp_path, Breaks((1, 3, 4, 5)), NaNGuard("skip", max_consecutive_skips=3))


def test_a_resumed_run_counts_its_skips_on(tmp_path: Path) -> None:
    """One at the end of the first part and two at the start of the second are three in a row."""
    fit(tmp_path, Breaks((6, 8)), NaNGuard("skip"))
    guard = NaNGuard("skip", max_consecutive_skips=3)
    with pytest.raises(UserError, match="stopped at step 10 after 2 steps skipped in a row"):
        fit(tmp_path, Breaks((0, 1)), guard, resume=True, max_epochs=3)
    assert guard.skipped == 3


class BreaksOnRankOne(DiagonalGaussian):
    """Only rank 1's loss is infinite, by a constant that leaves its gradient finite."""

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        log_prob = super().log_prob(x, y)
        if self.training and torch.distributed.get_rank() == 1:
            return log_prob - float("inf")
        return log_prob


def test_ranks_decide_alike(tmp_path: Path) -> None:
    model = BreaksOnRankOne((1, 8, 8), 17)
    fit(tmp_path, model, NaNGuard("skip"), devices=2, strategy="ddp_fork")
    assert read_series(tmp_path / "metrics.csv")["train/skipped_steps"][1][-1] == 8


def test_unknown_policy() -> None:
    with pytest.raises(UserError, match=r"callbacks\.nan_guard\.policy=ignore"):
        NaNGuard("ignore")  # type: ignore[arg-type]
