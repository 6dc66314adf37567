"""The leaderboard: a row for every run, a column for every figure, and no figure without its protocol and budget."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from genmodels.reports.collect import RunSummary
from genmodels.reports.wording import budget, cpu_minutes, number, protocol, wall_minutes
from genmodels.runs.provenance import provenance_in_words
from genmodels.runs.tables import in_short

_FIGURES_FIRST = 2  # figures that a screen holds beside what else is told of a run
_FILES = ("config.yaml", "run.json", "metrics.json", "metrics.csv", "samples", "checkpoints")


@dataclass(frozen=True)
class Column:
    """A column to sort by.

    Attributes:
        title: what stands above it.
        best_first: "ascending" or "descending", the order at the first click.
        is_text: whether its values are compared as text.
        shown: whether it is shown as the page opens.
    """

    title: str
    best_first: str
    is_text: bool = False
    shown: bool = True


@dataclass(frozen=True)
class Cell:
    """A value in a row.

    Attributes:
        key: what the row is sorted by; None comes last.
        text: what is shown.
        notes: smaller lines below it.
    """

    key: float | str | None
    text: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A run: name, link to its folder, links to files in it, cells in the order of the columns, provenance."""

    name: str
    link: str
    files: Mapping[str, str]
    cells: Sequence[Cell]
    origin: str
    provenance: Sequence[str]


_TEXTS = (Column("Model", "ascending", True), Column("Data", "ascending", True))
_BUDGETS = (Column("Steps", "ascending"), Column("Minutes", "ascending"), Column("Parameters", "ascending"))


def figure_names(runs: Sequence[RunSummary]) -> list[str]:
    """Of all the runs, those that most of them have first; bits/dim before all, where half of them have it."""
    counts = Counter(name for run in runs for name in run.figures)

    def order(name: str) -> tuple[bool, int, str]:
        return "bits_per_dim" not in name or 2 * counts[name] < len(runs), -counts[name], name

    return sorted(counts, key=order)


def best_first(runs: Sequence[RunSummary]) -> list[RunSummary]:
    """The runs by the first of the figures; those without it last."""
    names = figure_names(runs)
    if not names:
        return list(runs)
    sign = -1 if _direction(runs, names[0]) == "descending" else 1

    def order(run: RunSummary) -> tuple[bool, float]:
        mean = number(run.figures.get(names[0], {}).get("mean"))
        return mean is None, 0.0 if mean is None else sign * mean

    return sorted(runs, key=order)


def columns_of(runs: Sequence[RunSummary]) -> list[Column]:
    """All there are to choose from; of the figures the first are shown, as far as half of the runs have them."""
    figures = []
    for place, name in enumerate(figure_names(runs)):
        many = 2 * sum(name in run.figures for run in runs) >= len(runs)
        figures.append(Column(name, _direction(runs, name), shown=place == 0 or (many and place < _FIGURES_FIRST)))
    return [*_TEXTS, *figures, *_BUDGETS]


def rows_of(runs: Sequence[RunSummary], page: Path) -> list[Row]:
    """A row for each run, with links that hold from where the page lies."""
    figures, names = figure_names(runs), short_names([run.path for run in runs])
    return [_row(run, name, figures, page) for run, name in zip(runs, names, strict=True)]


def short_names(paths: Sequence[Path]) -> list[str]:
    """The paths without what they share, yet never less than folder and parent."""
    shared = len(os.path.commonpath([path.parent.parent for path in paths]).rstrip("/")) + 1 if paths else 0
    return [str(path)[shared:] for path in paths]


def link(path: Path, page: Path) -> str:
    """An address relative to the page's folder: it holds as long as both move together."""
    return quote(Path(os.path.relpath(path, page.absolute().parent)).as_posix())


def _direction(runs: Sequence[RunSummary], name: str) -> str:
    entries = [run.figures[name] for run in runs if name in run.figures]
    return "descending" if any(entry.get("direction") == "higher" for entry in entries) else "ascending"


def _row(run: RunSummary, name: str, figures: Sequence[str], page: Path) -> Row:
    record = run.record
    model, data = run.config.get("model._target_", "").rpartition(".")[2], run.config.get("data.name", "")
    steps, wall, cpu = number(record.get("steps")), wall_minutes(record), cpu_minutes(record)
    parameters = number(record.get("parameters"))
    times = [f"{value:.2f} {clock}" for value, clock in ((wall, "wall"), (cpu, "CPU")) if value is not None]
    cells = [Cell(model.lower(), model), Cell(data.lower(), data)]
    cells += [_figure(run.figures.get(name), record) for name in figures]
    cells += [_count(steps), Cell(wall if wall is not None else cpu, ", ".join(times)), _count(parameters)]
    files = {file: link(run.path / file, page) for file in _FILES if (run.path / file).exists()}
    return Row(name, link(run.path, page), files, cells, _origin(record), _provenance(run))


def _count(value: float | None) -> Cell:
    return Cell(value, "" if value is None else f"{value:,.0f}")


def _figure(entry: Mapping[str, Any] | None, record: Mapping[str, Any]) -> Cell:
    if entry is None:
        return Cell(None, "")
    text = f"{in_short(entry)} {entry.get('unit', '')}".strip()
    return Cell(number(entry["mean"]), text, (protocol(entry), budget(record)))


def _origin(record: Mapping[str, Any]) -> str:
    """Of a run in a few words: "finished, 95bb1363c7 with changes, 2026-11-26"."""
    git = record.get("git")
    commit = str(git.get("commit"))[:10] if isinstance(git, Mapping) and git.get("commit") else "code unknown"
    changed = " with changes" if isinstance(git, Mapping) and git.get("dirty") else ""
    terms = (record.get("status") or "status unknown", commit + changed, (record.get("started") or "")[:10])
    return ", ".join(filter(None, terms))


def _provenance(run: RunSummary) -> list[str]:
    published = {key: run.config[f"published.{key}"] for key in ("value", "source") if f"published.{key}" in run.config}
    more = [f"published: {' '.join(published.values())}"] if published else []
    if run.record.get("error"):
        more.append(f"error: {run.record['error']}")
    return [*provenance_in_words(run.record), f"seed: {run.config.get('seed', 'unknown')}", *more]
