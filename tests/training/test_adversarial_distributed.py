"""Games in two processes on the CPU. Started by fork, which takes half a second."""

from pathlib import Path
from typing import Any

import pytest
import torch
from adversarial_toys import LEVELS, SHAPE, Midway, QuietPair, play, weights
from test_distributed import Dump

from genmodels.config.compose import compose
from genmodels.models import DCGAN
from genmodels.objectives import R1, AdaptiveAugment, GradientPenalty, Hinge, NonSaturating
from genmodels.objectives.penalty import Penalty
from genmodels.runs.fit import strategy_by_hand

TWO = {"devices": 2, "strategy": "ddp_fork_find_unused_parameters_true"}


def ends(folder: Path) -> list[dict[str, torch.Tensor]]:
    return [torch.load(folder / f"end{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize(
    ("critic_steps", "penalty", "window"),
    [(1, None, 1), (2, None, 1), (2, Midway(1.0), 1), (1, R1(0.1, every=2), 1), (1, Midway(1.0), 2)],
)
def test_two_ranks_play_the_game_of_one(
    critic_steps: int, penalty: Penalty | None, window: int, tmp_path: Path
) -> None:
    """Four batches, each rank with half of every one."""
    for name, options in (("one", {}), ("two", TWO)):
        torch.manual_seed(0)
        pair = QuietPair().double()
        start = weights(pair)
        play(
            tmp_path / name,
            pair,
            Hinge(critic_steps, penalty=penalty),
            extra=[Dump()],
            max_epochs=1,
            limit_train_batches=4,
            limit_val_batches=0,
            accumulate_grad_batches=window,
            **options,
        )
    one = torch.load(tmp_path / "one" / "end0.pt", weights_only=True)
    for two in ends(tmp_path / "two"):
        for name in one:
            assert (one[name] - start[name]).abs().max() > 1e-4
            torch.testing.assert_close(two[name], one[name], rtol=1e-9, atol=1e-11)


def overfit() -> AdaptiveAugment:
    """Its p rises with every update."""
    return AdaptiveAugment(target=-1.1, ramp_images=600, every=1)


@pytest.mark.parametrize("critic_norm", ["batch", "none"])
def test_ranks_agree_bit_for_bit(critic_norm: Any, tmp_path: Path) -> None:
    """Each has noise of its own, and its own batch's statistics."""
    torch.manual_seed(0)
    model = DCGAN(SHAPE, LEVELS, width=8, num_scales=2, critic_norm=critic_norm)
    penalty = GradientPenalty() if critic_norm == "none" else None
    objective = NonSaturating(2, penalty=penalty, augment=overfit())
    options: dict[str, Any] = {"max_epochs": 1, "limit_train_batches": 6, "limit_val_batches": 0, **TWO}
    play(tmp_path, model, objective, extra=[Dump()], decay=0.5, **options)
    first, second = ends(tmp_path)
    for name in weights(model):
        assert torch.equal(first[name], second[name]), name
    norms = [name for name in first if name.endswith("running_mean")]
    assert norms
    assert not any(torch.equal(first[name], second[name]) for name in norms)


class DumpAugment(Dump):
    """The augmentation's state in place of the weights."""

    def _dump(self, trainer: Any, pl_module: Any, when: str) -> None:
        path = Path(trainer.default_root_dir) / f"{when}{trainer.global_rank}.pt"
        path.parent.mkdir(exist_ok=True)
        torch.save(pl_module.memory.state_dict(), path)


def test_augmentation_goes_by_the_scores_of_all_ranks(tmp_path: Path) -> None:
    """Three updates on 60 images of both ranks together."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"max_steps": 3, "limit_val_batches": 0, **TWO}
    play(tmp_path, QuietPair(), Hinge(augment=overfit()), extra=[DumpAugment()], **options)
    for state in ends(tmp_path):
        assert state["augment._risen"].item() == 3 * 60


@pytest.mark.parametrize(
    ("overrides", "strategy"),
    [
        (["trainer=ddp_cpu"], "ddp_find_unused_parameters_true"),
        (["trainer=cpu", "trainer.devices=2"], "ddp_find_unused_parameters_true"),
        (["trainer=ddp_cpu", "trainer.strategy=fsdp"], "fsdp"),
        (["trainer=cpu"], "auto"),
    ],
)
def test_games_get_the_strategy_that_bears_parts_without_gradients(overrides: list[str], strategy: str) -> None:
    assert strategy_by_hand(compose(overrides)["trainer"]) == strategy
