import math
from collections.abc import Callable

import pytest
import torch
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from genmodels.errors import UserError
from genmodels.training import schedules


def rates(schedule: Callable[..., LRScheduler], steps: int, **options: float) -> list[float]:
    """The learning rates of the first `steps` steps, for an lr of 2."""
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = schedule(optimizer, **options)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_constant() -> None:
    assert rates(schedules.constant, 3) == [2.0, 2.0, 2.0]


def test_linear_warmup() -> None:
    assert rates(schedules.linear_warmup, 6, warmup_steps=4) == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0])


def test_linear_ends_at_nought() -> None:
    assert rates(schedules.linear, 6, total_steps=4) == pytest.approx([2.0, 1.5, 1.0, 0.5, 0.0, 0.0])


def test_linear_begins_where_it_is_told_to() -> None:
    assert rates(schedules.linear, 6, total_steps=5, decay_start=1) == pytest.approx([2.0, 2.0, 1.5, 1.0, 0.5, 0.0])


def test_exponential_waits_decays_and_stops_at_the_floor() -> None:
    found = rates(schedules.exponential, 8, rate=0.5, warmup_steps=2, decay_start=3, floor=0.2)
    assert found == pytest.approx([1.0, 2.0, 2.0, 2.0, 1.0, 0.5, 0.4, 0.4])


def test_cosine_ends_at_its_fraction() -> None:
    found = rates(schedules.cosine, 9, total_steps=7, warmup_steps=2, final_fraction=0.1)
    assert found[:3] == pytest.approx([1.0, 2.0, 2.0])
    assert found[4] == pytest.approx(2 * (0.1 + 0.9 * (1 + math.cos(math.pi * 0.4)) / 2))
    assert found[7:] == pytest.approx([0.2, 0.2])


def test_noam_is_the_formula_of_vaswani_et_al() -> None:
    width, warmup = 512, 4
    expected = [width**-0.5 * min(step**-0.5, step * warmup**-1.5) for step in range(1, 20)]
    peak = (width * warmup) ** -0.5
    assert [rate / 2 * peak for rate in rates(schedules.noam, 19, warmup_steps=warmup)] == pytest.approx(expected)


def test_the_stages_of_iwae_are_those_of_its_code() -> None:
    found = rates(schedules.iwae, 3280 * 2 + 9, epoch_steps=2)
    rate_of_stage = [round(10 ** (1 - stage / 7), 1) / 10 for stage in range(8)]
    expected = [rate for stage, rate in enumerate(rate_of_stage) for _ in range(2 * 3**stage)]
    assert rate_of_stage == pytest.approx([1.0, 0.72, 0.52, 0.37, 0.27, 0.19, 0.14, 0.1])
    assert [rate / 2 for rate in found] == pytest.approx(expected + [0.1] * 9)


@pytest.mark.parametrize(
    ("build", "key"),
    [
        (lambda o: schedules.linear_warmup(o, warmup_steps=-1), "warmup_steps"),
        (lambda o: schedules.linear(o, total_steps=0), "total_steps"),
        (lambda o: schedules.noam(o, warmup_steps=0), "warmup_steps"),
        (lambda o: schedules.iwae(o, epoch_steps=0), "epoch_steps"),
        (lambda o: schedules.cosine(o, total_steps=-1), "total_steps"),
        (lambda o: schedules.exponential(o, rate=1.5), "rate"),
    ],
)
def test_impossible_values_name_their_key(build: Callable[[Optimizer], object], key: str) -> None:
    with pytest.raises(UserError, match=rf"scheduler\.{key}="):
        build(SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0))
