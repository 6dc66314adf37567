"""One figure of several runs that differ in their seed alone."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from genmodels.evaluation.metrics.figure import Figure

_SAME = ("name", "unit", "direction", "num_examples", "kind", "protocol", "counted", "split")


def over_seeds(figures: Mapping[int, Figure]) -> Figure | None:
    """Mean over seeds, with the standard deviation from seed to seed beside the standard error over examples.

    The error stays that of one run, the quadratic mean of theirs: the runs are measured on the same examples, so the
    luck in these does not average out over seeds. What more seeds make smaller is deviation / sqrt(seeds).

    Args:
        figures: by seed, two or more.

    Returns: None where the runs were not measured in the same way.
    """
    first, *others = figures.values()
    if any(getattr(figure, key) != getattr(first, key) for figure in others for key in _SAME):
        return None
    every = [first, *others]
    units = {unit: _mean([figure.other_units[unit] for figure in every]) for unit in first.other_units}
    parts = {
        name: (_mean([figure.parts[name][0] for figure in every]), _error([figure.parts[name][1] for figure in every]))
        for name in first.parts
        if all(name in figure.parts for figure in every)
    }
    return Figure(
        mean=_mean([figure.mean for figure in every]),
        standard_error=_error([figure.standard_error for figure in every]),
        other_units=units,
        parts=parts,
        seeds=tuple(figures),
        deviation=statistics.stdev(figure.mean for figure in every),
        **{key: getattr(first, key) for key in _SAME},
    )


def entries_over_seeds(metrics: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The metrics.json of several runs as one: every figure that all of them have, measured in the same way.

    Args:
        metrics: by seed, what each run's metrics.json holds.

    Returns: by the same names; what else an entry tells is kept where all tell the same. Empty for a single run.
    """
    if len(metrics) < 2:
        return {}
    first = next(iter(metrics.values()))
    found = {}
    for name in first:
        entries = {seed: run[name] for seed, run in metrics.items() if name in run}
        figure = over_seeds({seed: _figure(e) for seed, e in entries.items()}) if len(entries) == len(metrics) else None
        if figure is not None:
            same = {key: v for key, v in first[name].items() if all(e.get(key) == v for e in entries.values())}
            found[name] = {**same, **asdict(figure), "seeds": list(figure.seeds)}
    return found


def _figure(entry: Mapping[str, Any]) -> Figure:
    return Figure(**{field.name: entry[field.name] for field in fields(Figure) if field.name in entry})


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values)


def _error(errors: Sequence[float | None]) -> float | None:
    known = [error for error in errors if error is not None]
    return statistics.fmean(error**2 for error in known) ** 0.5 if len(known) == len(errors) else None
