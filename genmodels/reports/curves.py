"""Learning curves thinned to what a screen can show."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from genmodels.training.csv_logger import Series

POINTS = 200


def thinned(steps: Sequence[int], values: Sequence[float], most: int = POINTS) -> tuple[list[int], list[float | None]]:
    """At most so many of the points, evenly spaced, first and last among them; what is not finite is None, a gap.

    Points are left out, never averaged, so that every one that is drawn was logged. Values keep five digits.
    """
    last = len(steps) - 1
    kept = range(last + 1) if last < most else [round(i * last / (most - 1)) for i in range(most)]
    finite = [float(f"{values[i]:.5g}") if math.isfinite(values[i]) else None for i in kept]
    return [steps[i] for i in kept], finite


def examples_per_step(config: Mapping[str, str]) -> int | None:
    """Training examples that a step takes: the batches that it accumulates, for each update of a critic before it.

    Args:
        config: of a run, values as text under their full keys. Whatever else stands there gives None.
    """
    times = [config.get(key, "null") for key in ("trainer.accumulate_grad_batches", "objective.critic_steps")]
    counts = [config.get("data.batch_size", ""), *("1" if text == "null" else text for text in times)]
    try:
        product = math.prod(map(int, counts))
    except ValueError:
        return None
    return product if 0 < product < 10**9 else None


def curves_by_name(runs: Sequence[Series]) -> dict[str, dict[int, Any]]:
    """{name: {number of the run: (steps, values)}}: first what most runs have logged, validation before training."""
    found: dict[str, dict[int, Any]] = {}
    for number, series in enumerate(runs):
        for name, (steps, values) in series.items():
            found.setdefault(name, {})[number] = thinned(steps, values)
    groups = ("val/", "train/")
    rank = {group: place for place, group in enumerate(groups)}

    def order(name: str) -> tuple[int, int, str]:
        return rank.get(f"{name.partition('/')[0]}/", len(groups)), -len(found[name]), name

    return {name: found[name] for name in sorted(found, key=order)}
