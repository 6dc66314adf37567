"""Steps that a module makes by hand, on a game whose gradients are known numbers."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from training_toys import SetRules, digits, trainer

from genmodels.models import Model
from genmodels.objectives import Objective
from genmodels.training import NaNGuard, StepRules, TrainingModule
from genmodels.training.position import total_steps

UPHILL = torch.tensor([0.6, 0.8])


class Point(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.zeros(2))


class Pair(Model):
    """Two points in the plane, each a part."""

    shape, levels = (1, 8, 8), 17

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Point(), Point()


class Game(Objective):
    def check(self, model: Model) -> None: ...

    def selection(self, model: Model) -> None: ...


class Players(TrainingModule):
    """In batch b the gradient of the first is b * UPHILL, of the second ten times that; it has no step in batch 4."""

    automatic_optimization = False
    counted = "second"
    model: Pair

    def trained_parts(self) -> dict[str, nn.Module]:
        return {"first": self.model.first, "second": self.model.second}

    def training_step(self, batch: Any, batch_idx: int) -> None:
        self.update("first", lambda: self.height * (batch_idx + 1))
        if batch_idx < 3:
            self.update("second", lambda: self.height * 10 * (batch_idx + 1))

    @property
    def height(self) -> Tensor:
        return (self.model.first.at + self.model.second.at) @ UPHILL

    def evaluate_batch(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        return {}


def halving(optimizer: Optimizer) -> LambdaLR:
    return LambdaLR(optimizer, lambda step: 0.5**step)


def play(folder: Path, rules: StepRules, callbacks: Sequence[pl.Callback] = (), batches: int = 4) -> Players:
    """An epoch."""
    first, second = partial(SGD, lr=1.0), partial(SGD, lr=0.1)
    players = Players(Pair(), Game(), first, {"second": second}, halving)
    run = trainer(folder, [SetRules(rules), *callbacks], max_epochs=1, limit_train_batches=batches, limit_val_batches=0)
    run.fit(players, datamodule=digits())
    return players


def descended(player: Point, direction: Tensor = UPHILL) -> float:
    """How far it has come against the direction, from which it has not strayed."""
    distance = -player.at.detach() / direction
    assert distance[0] == pytest.approx(distance[1])
    return distance[0].item()


def test_steps_of_accumulated_gradients(tmp_path: Path) -> None:
    """A step after batches 1 to 3, of the mean of their gradients, and one after batch 4, the last, by itself."""
    players = play(tmp_path, StepRules(accumulate_grad_batches=3))
    assert descended(players.model.first) == pytest.approx((1 + 2 + 3) / 3 + 0.5 * 4)
    assert descended(players.model.second) == pytest.approx(0.1 * 10 * (1 + 2 + 3) / 3)
    assert players.steps_taken == 1
    rates = [optimizer.param_groups[0]["lr"] for optimizer in players.trainer.optimizers]
    assert rates == pytest.approx([1.0 * 0.5, 0.1 * 0.5])  # both after one step of training


def test_a_step_after_every_batch(tmp_path: Path) -> None:
    players = play(tmp_path, StepRules())
    assert descended(players.model.first) == pytest.approx(1 + 2 / 2 + 3 / 4 + 4 / 8)
    assert descended(players.model.second) == pytest.approx(1 + 2 / 2 + 3 / 4)
    assert players.steps_taken == 3
    assert total_steps(players.trainer) is None  # which only the module knows


@pytest.mark.parametrize(("algorithm", "direction"), [("norm", UPHILL), ("value", torch.ones(2))])
def test_each_part_is_clipped_by_its_own_gradient(algorithm: Any, direction: Tensor, tmp_path: Path) -> None:
    """While the gradient of the other waits for the rest of its batches."""
    rules = StepRules(accumulate_grad_batches=3, gradient_clip_val=0.5, gradient_clip_algorithm=algorithm)
    players = play(tmp_path, rules)
    assert descended(players.model.first, direction) == pytest.approx(0.5 * (1 + 1 / 2), rel=1e-5)
    assert descended(players.model.second, direction) == pytest.approx(0.5 * 0.1, rel=1e-5)


def test_norms_are_those_of_each_part_before_clipping(tmp_path: Path) -> None:
    rules = StepRules(accumulate_grad_batches=3, gradient_clip_val=0.5)
    players = play(tmp_path, rules, [NaNGuard()], batches=3)
    norms = {name: value.item() for name, value in players.step_metrics.items()}
    assert norms == pytest.approx({"train/grad_norm/first": 2, "train/grad_norm/second": 20})
