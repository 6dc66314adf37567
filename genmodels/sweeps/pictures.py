"""A study in two pictures."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import get_param_importances
from optuna.trial import FrozenTrial

from genmodels.pictures import save_figure
from genmodels.sweeps.study import Study

_FEWEST = 2  # finished trials of which a picture says something
_TICKS = 5


def draw_parallel_coordinates(
    study: Study, distributions: Mapping[str, BaseDistribution], ranked: Sequence[FrozenTrial]
) -> Path | None:
    """A line for each finished trial through its values and, last, its figure, where equal steps are equal ranks.

    Args:
        study: where parallel_coordinates.png is drawn.
        distributions: of the searched keys, an axis each.
        ranked: finished trials, the best first; their lines go from dark to bright.

    Returns: the picture; None where there are too few.
    """
    if len(ranked) < _FEWEST:
        return None
    figure = Figure(figsize=(1.9 * (len(distributions) + 1) + 1, 4.5), layout="constrained")
    axes = figure.subplots()
    colours = matplotlib.colormaps["viridis"]
    last, worst = len(distributions), len(ranked) - 1
    for rank, trial in reversed(list(enumerate(ranked))):
        heights = [_height(distributions[key], trial.params[key]) for key in distributions]
        axes.plot([*heights, 1 - rank / worst], color=colours(0.9 * rank / worst), linewidth=1 if rank else 2.5)
    for place, distribution in enumerate(distributions.values()):
        _draw_axis(axes, place, {_height(distribution, v): _shown(v) for v in _marks(distribution)})
    shown_ranks = sorted({round(worst * part / (_TICKS - 1)) for part in range(_TICKS)})
    _draw_axis(axes, last, {1 - rank / worst: f"{ranked[rank].value:.4g}" for rank in shown_ranks})
    axes.set_xticks(range(last + 1), [*distributions, study.study.user_attrs["figure"]])
    axes.set_xlim(-0.2, last + 0.5)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(f"{len(ranked)} finished trials, the best on top and thick (trial {ranked[0].number})")
    path = study.folder / "parallel_coordinates.png"
    save_figure(figure, path)
    return path


def draw_importances(study: Study, ranked: Sequence[FrozenTrial]) -> Path | None:
    """How much each searched key matters among the finished trials, by PED-ANOVA (Watanabe et al. 2023).

    Returns: importances.png in the study's folder; None where the trials are too few or do not differ.
    """
    if len(ranked) < _FEWEST or ranked[0].value == ranked[-1].value:
        return None
    importances = get_param_importances(study.study)
    figure = Figure(figsize=(6, 0.5 * len(importances) + 1.2), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(list(importances), list(importances.values()))
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.1 * max(importances.values(), default=1.0) or 1.0)
    axes.set_xlabel(f"share in what {study.study.user_attrs['figure']} hangs on")
    axes.spines[["top", "right"]].set_visible(False)
    path = study.folder / "importances.png"
    save_figure(figure, path)
    return path


def _draw_axis(axes: Axes, place: int, labels: Mapping[float, str]) -> None:
    axes.vlines(place, 0, 1, color="black", linewidth=1, zorder=4)
    for height, label in labels.items():
        box = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1}
        axes.annotate(label, (place, height), (4, 0), textcoords="offset points", va="center", bbox=box, zorder=5)


def _height(distribution: BaseDistribution, value: Any) -> float:
    """Where a value stands between the lowest, 0, and the highest, 1."""
    if isinstance(distribution, CategoricalDistribution):
        position, low, high = float(distribution.choices.index(value)), 0.0, len(distribution.choices) - 1.0
    else:
        assert isinstance(distribution, IntDistribution | FloatDistribution)
        scale = math.log if distribution.log else float
        position, low, high = scale(value), scale(distribution.low), scale(distribution.high)
    return (position - low) / (high - low) if high > low else 0.5


def _marks(distribution: BaseDistribution) -> list[Any]:
    """Values that an axis names."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high = distribution.low, distribution.high
    parts = [part / (_TICKS - 1) for part in range(_TICKS)]
    if distribution.log:
        values = [low * (high / low) ** part for part in parts]
    else:
        values = [low + (high - low) * part for part in parts]
    return sorted({round(v) for v in values}) if isinstance(distribution, IntDistribution) else values


def _shown(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
