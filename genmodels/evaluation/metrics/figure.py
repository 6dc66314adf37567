"""One figure about a trained model, with all that is needed to compare it."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor


@dataclass(frozen=True)
class Figure:
    """What is printed, stored and tabled.

    Attributes:
        name: "bits_per_dim", "nll", "reverse_kl".
        mean: over examples, in `unit`.
        standard_error: of the mean over repeats of the whole measurement; None where it is not known.
        unit: "bits/dim", "nats", "" for a plain number.
        direction: which is better, "lower" or "higher".
        num_examples: how many entered the mean.
        kind: "exact", the quantity itself for each example; "bound", the true value is better in expectation;
            "estimate", a Monte-Carlo mean of the quantity.
        protocol: whatever else two figures must share to be compared: K, features, split, ...
        other_units: the same mean in other units, by unit.
        parts: further numbers of the same measurement in the same unit, by name: mean and standard error, or None.
        pictures: files that the measurement has drawn.
        counted: what the mean is over, "examples" of the data or "samples" of the model.
        split: the part of the data that it is about, where it is about one part only, whichever was asked for.
        seeds: of the runs that the mean is over too, see `over_seeds`; empty for a figure of one run.
        deviation: standard deviation of the mean from seed to seed; None for a figure of one run.
    """

    name: str
    mean: float
    standard_error: float | None
    unit: str
    direction: Literal["lower", "higher"]
    num_examples: int
    kind: Literal["exact", "bound", "estimate"]
    protocol: dict[str, Any] = field(default_factory=dict)
    other_units: dict[str, float] = field(default_factory=dict)
    parts: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    counted: Literal["examples", "samples"] = "examples"
    split: str | None = None
    seeds: tuple[int, ...] = ()
    deviation: float | None = None


def mean_with_error(values: Tensor) -> tuple[float, float | None]:
    """Mean over independent values [N] and its standard error, deviation / sqrt(N); None for the error of one value."""
    error = float(values.std(correction=1)) / math.sqrt(len(values)) if len(values) > 1 else None
    return float(values.mean()), error


def figure_of(values: Tensor, **rest: Any) -> Figure:
    """The mean over independent values [N] with its error as a figure; `rest` is what else a `Figure` takes."""
    mean, error = mean_with_error(values)
    return Figure(mean=mean, standard_error=error, num_examples=len(values), **rest)
