"""Published against measured, drawn."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genmodels.pictures import save_figure
from genmodels.tables.markdown import MARKS, columns_of, other_name, published_value

_BLUE, _GREY = "#2a6f97", "#555555"


def draw(found: Mapping[str, Any], path: Path) -> bool:
    """A panel for each column, a line for each row: hollow is published, filled is measured at the budget.

    Args:
        found: of `collect`.
        path: of the PNG, which is only written where there is something to see.

    Returns: whether there is.
    """
    panels = [column for column in columns_of(found) if _points(found, column)]
    if not panels:
        return False
    rows = [row for row in found["rows"] if any(row in _points(found, panel) for panel in panels)]
    figure = Figure(figsize=(2.2 + 3.4 * len(panels), 1.6 + 0.3 * len(rows)), layout="constrained")
    for index, panel in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), index + 1)
        _panel(axes, found, panel, rows)
        if index:
            axes.set_yticklabels([])
    handles = [
        figure.axes[0].plot([], [], "o", color=_BLUE, label=f"measured ({found['budget']})")[0],
        figure.axes[0].plot([], [], "o", mfc="white", color=_GREY, label="published († second-hand, ‡ recalled)")[0],
    ]
    is_published = any(value[0] is not None for panel in panels for value in _points(found, panel).values())
    figure.legend(handles=handles[: 2 if is_published else 1], loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(found["title"], fontsize=10)
    save_figure(figure, path)
    return True


def _points(found: Mapping[str, Any], panel: Mapping[str, Any]) -> dict[str, tuple[float | None, Any, str]]:
    """Published value, if it compares, measured figure and the mark of the former, of rows that have either."""
    points = {}
    for cell in found["cells"]:
        if cell["column"] == panel["column"]:
            value, measured = published_value(cell, panel["figure"]), cell["figures"].get(panel["figure"]["title"])
            if measured is not None and other_name(measured, panel["figure"]):
                value = None  # on another scale
            if value is not None or measured is not None:
                mark = MARKS[cell["published"]["status"]] if value is not None else ""
                points[cell["row"]] = (value, measured, mark)
    return points


def _panel(axes: Axes, found: Mapping[str, Any], panel: Mapping[str, Any], rows: list[str]) -> None:
    for row, (value, measured, mark) in _points(found, panel).items():
        y = rows.index(row)
        if value is not None and measured is not None:
            axes.plot([value, measured["value"]], [y, y], color="#cccccc", zorder=1)
        if measured is not None:
            axes.errorbar(measured["value"], y, xerr=measured["standard_error"], fmt="o", color=_BLUE, ms=5, zorder=3)
        if value is not None:
            axes.plot(value, y, "o", mfc="white", color=_GREY, ms=5, zorder=2)
            axes.annotate(mark, (value, y), (0, 3), textcoords="offset points", ha="center", fontsize=7, color=_GREY)
    axes.set_yticks(range(len(rows)), [found["rows"][row] for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="x", labelsize=8)
    names = {other_name(measured, panel["figure"]) for _, measured, _ in _points(found, panel).values() if measured}
    others = ",".join(sorted(name for name in names if name))
    axes.set_xlabel(
        (panel["head"] or panel["figure"]["title"]) + (f" ({others.strip()})" if others else ""), fontsize=9
    )
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
