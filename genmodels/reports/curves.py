"""Learning curves thinned to what a screen can show."""

import math
from collections.abc import Sequence
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
