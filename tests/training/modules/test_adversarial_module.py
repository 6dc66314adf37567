"""How a game is played: who moves when, on what, and in which precision."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from adversarial_toys import CLASSES, Midway, QuietPair, play, weights
from torch import Tensor
from training_toys import standard_callbacks, trainer

from genmodels.data import DataModule
from genmodels.models import GAN
from genmodels.objectives import (
    R1,
    AdaptiveAugment,
    Adversarial,
    GradientPenalty,
    Hinge,
    NonSaturating,
    Wasserstein,
)
from genmodels.objectives.penalty import Critic, Penalty
from genmodels.training import AdversarialModule


def quiet_pair(dtype: torch.dtype = torch.float64) -> QuietPair:
    torch.manual_seed(0)
    return QuietPair().to(dtype)


class Moves(pl.Callback):
    """For each batch, who has moved."""

    def __init__(self) -> None:
        self.moves: list[str] = []
        self._before: dict[str, Tensor] = {}

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self._before = weights(pl_module.model)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        now = weights(pl_module.model)
        moved = {name[0] for name in now if not torch.equal(now[name], self._before[name])}
        self.moves.append("".join(sorted(moved)))


def test_the_critic_moves_with_every_batch_the_generator_with_every_third(tmp_path: Path) -> None:
    """Counted on across the ends of epochs of four batches."""
    seen = Moves()
    played = play(
        tmp_path, quiet_pair(), NonSaturating(3), extra=[seen], max_epochs=3, limit_train_batches=4, limit_val_batches=0
    )
    assert seen.moves == ["d", "d", "dg"] * 4
    assert played.steps_taken == 4


def test_of_accumulated_batches_every_window_is_a_move(tmp_path: Path) -> None:
    """Windows of an epoch: batches 1 to 3, and 4."""
    seen = Moves()
    options: dict[str, Any] = {"max_epochs": 3, "limit_train_batches": 4, "limit_val_batches": 0}
    play(tmp_path, quiet_pair(), NonSaturating(2), extra=[seen], accumulate_grad_batches=3, **options)
    assert seen.moves == ["", "", "d", "dg"] * 3


@pytest.mark.parametrize("critic_steps", [1, 2])
@pytest.mark.parametrize("penalty", [None, R1(0.1, every=2), Midway(1.0)])
def test_accumulated_batches_are_one_of_their_size(critic_steps: int, penalty: Penalty | None, tmp_path: Path) -> None:
    """Of three windows an epoch, so that the generator's turn comes at different places."""
    options: dict[str, Any] = {"max_epochs": 3, "limit_val_batches": 0}
    found = []
    for window in (1, 3):
        objective = Hinge(critic_steps, penalty=penalty)
        found.append(
            play(
                tmp_path / str(window),
                quiet_pair(),
                objective,
                batch_size=120 // window,
                limit_train_batches=3 * window,
                accumulate_grad_batches=window,
                **options,
            )
        )
    assert [played.steps_taken for played in found] == [9 // critic_steps] * 2
    one, three = (weights(played.model) for played in found)
    start = weights(quiet_pair())
    assert all((one[name] - start[name]).abs().max() > 1e-4 for name in one)
    for name in one:
        torch.testing.assert_close(three[name], one[name], rtol=1e-9, atol=1e-11)


class Noted(Penalty):
    """A small penalty that keeps what it has been called with."""

    def __init__(self) -> None:
        self.seen: list[tuple[torch.dtype, torch.dtype, torch.dtype, float]] = []

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        value = R1(1.0)(critic, real, fake)
        self.seen.append((real.dtype, fake.dtype, critic(real).dtype, value.item()))
        return value


def test_penalties_are_in_full_precision_where_the_rest_is_not(tmp_path: Path) -> None:
    found: dict[str, tuple[Noted, dict[str, Tensor]]] = {}
    for precision in ("32-true", "bf16-mixed"):
        noted = Noted()
        objective = Wasserstein(penalty=noted)
        options: dict[str, Any] = {"max_steps": 1, "limit_val_batches": 0, "precision": precision}
        played = play(tmp_path / precision, quiet_pair(torch.float32), objective, **options)
        found[precision] = noted, weights(played.model)
    (full, exact), (mixed, rough) = found.values()
    assert mixed.seen == full.seen
    assert mixed.seen[0][:3] == (torch.float32,) * 3
    start = weights(quiet_pair(torch.float32))
    for name in exact:  # both nets have had their gradient, if a rough one
        assert not torch.equal(rough[name], exact[name]) or name.endswith("layers.2.bias")
        torch.testing.assert_close(rough[name] - start[name], exact[name] - start[name], rtol=0.2, atol=2e-3)


def test_penalties_take_weights_of_double_precision(tmp_path: Path) -> None:
    noted = Noted()
    play(tmp_path, quiet_pair(), Wasserstein(penalty=noted), max_steps=1, limit_val_batches=0)
    assert noted.seen[0][:3] == (torch.float64,) * 3


class Lazy(Noted):
    every = 3


def test_a_lazy_penalty_is_as_large_as_the_steps_it_stands_for(tmp_path: Path) -> None:
    """In updates 1, 4 and 7 of eight, each with three times its gradient: all of it is in the critic's moves."""
    moved = {}
    for penalty in (Noted(), Lazy()):
        objective = Constant(penalty=penalty)
        played = play(tmp_path / str(penalty.every), quiet_pair(), objective, max_epochs=1, limit_train_batches=1)
        start = weights(quiet_pair())
        moved[penalty.every] = {name: value - start[name] for name, value in weights(played.model).items()}
    for name in moved[1]:
        torch.testing.assert_close(moved[3][name], 3 * moved[1][name])
    lazy = Lazy()
    play(tmp_path, quiet_pair(), Hinge(penalty=lazy), max_epochs=2, limit_train_batches=4, limit_val_batches=0)
    assert len(lazy.seen) == 3


class Constant(Adversarial):
    """Only penalties count."""

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return 0 * (real.mean() + fake.mean())

    def generator_loss(self, fake: Tensor) -> Tensor:
        return 0 * fake.mean()


def test_what_is_logged_are_the_losses_the_penalty_and_the_gap(tmp_path: Path) -> None:
    played = play(tmp_path, quiet_pair(), Wasserstein(penalty=Midway(1.0)), max_steps=1, limit_val_batches=0)
    logged = {name: value.item() for name, value in played.step_metrics.items() if "time" not in name}
    assert {"train/critic_loss", "train/generator_loss", "train/penalty", "train/gap"} <= set(logged)
    assert logged["train/critic_loss"] == pytest.approx(-logged["train/gap"])


class OverfitAtOnce(AdaptiveAugment):
    """Keeps the numbers of scores that it has been shown."""

    def __init__(self) -> None:
        super().__init__(target=-1.1, ramp_images=1200, every=2)
        self.shown: list[int] = []

    def observe(self, real_scores: Tensor) -> None:
        self.shown.append(len(real_scores))
        super().observe(real_scores)


def test_augmentation_hears_of_every_update_and_comes_back_with_a_resumed_run(tmp_path: Path) -> None:
    """Of windows of two batches of 60: p rises by 240 / 1200 with every second of them."""
    options: dict[str, Any] = {"accumulate_grad_batches": 2, "limit_val_batches": 0}
    augment = OverfitAtOnce()
    play(tmp_path, quiet_pair(torch.float32), Hinge(augment=augment), max_steps=5, **options)
    assert augment.shown == [120] * 5
    assert augment.p.item() == pytest.approx(0.4)
    resumed = OverfitAtOnce()
    play(tmp_path, quiet_pair(torch.float32), Hinge(augment=resumed), resume=True, max_steps=6, **options)
    assert resumed.shown == [120]
    assert resumed.p.item() == pytest.approx(0.6), "the fifth and the sixth update of the game"


def test_labels_are_the_batchs_own(tmp_path: Path) -> None:
    """With several batches' worth of samples in the generator's step, too."""
    pair = quiet_pair()
    seen: list[Tensor] = []
    pair.generator.register_forward_pre_hook(lambda _, given: seen.append(given[1]))
    play(tmp_path, pair, Hinge(generator_batch=2), max_steps=1, limit_val_batches=0)
    critics, generators = seen
    assert len(critics) == 60
    assert torch.equal(generators, critics.repeat(2))
    assert len(critics.unique()) == CLASSES


def test_a_critic_with_a_gradient_penalty_gets_a_slope_of_one(tmp_path: Path) -> None:
    """Between data and samples, WGAN-GP on two moons."""
    torch.manual_seed(0)
    model = GAN((2,), None, num_latents=2, width=32)
    data = DataModule("moons", (2,), None, None, root="unused", batch_size=128, validation=2000)
    optimizer = partial(torch.optim.Adam, lr=2e-3, betas=(0.5, 0.9))
    played = AdversarialModule(model, Wasserstein(2, penalty=GradientPenalty()), optimizer)
    trainer(tmp_path, standard_callbacks(), max_steps=150, limit_val_batches=0).fit(played, datamodule=data)
    real = next(iter(data.val_dataloader()))[0]
    fake = model.generate(model.latents(len(real))).detach()
    between = torch.lerp(fake, real, torch.rand(len(real), 1)).requires_grad_()
    (slopes,) = torch.autograd.grad(model.discriminator(between).sum(), between)
    norms = slopes.norm(dim=1)
    assert norms.mean().item() == pytest.approx(1, abs=0.15)
    assert norms.std() < 0.3
