"""What a user sees of a game while it is played."""

import io
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from rich.console import Console
from training_toys import SetRules, digits, standard_callbacks, trainer

from genmodels.models import DCGAN, GAN
from genmodels.objectives import GradientPenalty, NonSaturating, Wasserstein
from genmodels.pictures import save_grid
from genmodels.randomness import seed_for
from genmodels.training import AdversarialModule, RunProgress, Samples, StepRules, read_checkpoint
from genmodels.training.position import total_steps

TWO = {"devices": 2, "strategy": "ddp_fork_find_unused_parameters_true"}
ADAM = partial(torch.optim.Adam, lr=0.01, fused=True)


def game(critic_steps: int = 1) -> AdversarialModule:
    return AdversarialModule(GAN((1, 8, 8), 17, width=4), NonSaturating(critic_steps), ADAM)


@pytest.mark.parametrize(("accumulated", "critic_steps", "steps"), [(1, 1, 8), (1, 3, 2), (3, 1, 4), (3, 3, 1)])
def test_epochs_give_so_many_steps(accumulated: int, critic_steps: int, steps: int, tmp_path: Path) -> None:
    """Two epochs of four batches, which make two windows of three."""
    played = game(critic_steps)
    rules = SetRules(StepRules(accumulate_grad_batches=accumulated))
    run = trainer(tmp_path, [rules, *standard_callbacks()], max_epochs=2)
    run.fit(played, datamodule=digits())
    assert total_steps(run) == played.steps_taken == steps


class Clock(pl.Callback):
    """Every batch takes ten seconds."""

    now = 0.0

    def on_train_batch_start(self, *args: Any) -> None:
        self.now += 10

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic


def test_lines_tell_who_is_ahead_and_when_it_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve batches of 256 images make four steps; what not every batch has stays on the line."""
    clock, output = Clock(), io.StringIO()
    for user in ("run_progress", "step_metrics"):
        monkeypatch.setattr(f"genmodels.training.callbacks.{user}.time", clock)
    progress = RunProgress(0.0, Console(file=output, width=120, soft_wrap=True, highlight=False))
    run = trainer(tmp_path, [clock, *standard_callbacks(), progress], max_epochs=3)
    run.fit(game(critic_steps=3), datamodule=digits())
    lines = output.getvalue().splitlines()
    assert len(lines) == 12
    number = r"-?\d+\.\d{3}"
    figures = rf"critic_loss {number}  generator_loss {number}  gap {number}(  val {number})?  26 images/s"
    for batch, step, left in ((3, 1, "0:01:30"), (6, 2, "0:01:00"), (9, 3, "0:00:30"), (12, 4, "0:00:00")):
        assert re.fullmatch(rf"step {step}/4  {figures}  ETA {left}", lines[batch - 1])
    assert re.match(rf"step 1/4  {figures}", lines[4])


def test_penalties_are_shown_where_there_are_some() -> None:
    model = GAN((1, 8, 8), 17, width=4)
    assert game().shown == ["critic_loss", "generator_loss", "gap"]
    punished = AdversarialModule(model, Wasserstein(penalty=GradientPenalty()), ADAM)
    assert punished.shown == ["critic_loss", "generator_loss", "gap", "penalty"]


@pytest.mark.parametrize("ranks", [{}, TWO], ids=["one", "two"])
def test_pictures_are_of_the_averaged_generator_with_its_own_statistics(ranks: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = DCGAN((1, 8, 8), 17, width=4, num_latents=5, num_scales=2)
    run = trainer(tmp_path, [*standard_callbacks(), Samples(n=6)], max_steps=6, **ranks)
    run.fit(AdversarialModule(model, NonSaturating(), ADAM), datamodule=digits())
    last = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    again = DCGAN((1, 8, 8), 17, width=4, num_latents=5, num_scales=2).eval()
    pictures = {}
    for name, state in {
        "average": last["callbacks"]["EMA"]["average"],
        "raw": {key.removeprefix("model."): value for key, value in last["state_dict"].items()},
    }.items():
        again.load_state_dict(state)
        torch.manual_seed(seed_for("samples", 0))
        save_grid(again.sample(6), 17, tmp_path / f"{name}.png")
        pictures[name] = (tmp_path / f"{name}.png").read_bytes()
    drawn = (tmp_path / "samples" / "step_0000006.png").read_bytes()
    assert drawn == pictures["average"]
    assert drawn != pictures["raw"]
