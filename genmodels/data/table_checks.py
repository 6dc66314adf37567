"""What keeps a table of numbers from being fitted by a density: found where it lies, by row and column."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor


def fault_of(table: Any) -> str | None:
    """The first fault of what a file holds, in words: text, a number that is not finite, or a constant column.

    Args:
        table: an array [N, D], a data frame, or several arrays in a tuple; columns are called by their names where they
            have some, and else by their numbers from 0, as rows are.
    """
    for columns in _tables(table):
        if not columns or not len(columns[0][1]):
            continue
        for name, values in columns:
            if values.dtype.kind not in "biuf":
                return f"column {name} holds {_example_of_text(values)} and not numbers"
        for name, values in columns:
            bad = np.flatnonzero(~np.isfinite(values))
            if len(bad):
                more = f", and {len(bad) - 1:,} more of that column" if len(bad) > 1 else ""
                return f"row {bad[0]}, column {name} is {values[bad[0]]}{more}"
        for name, values in columns:
            if len(values) > 1 and values.min() == values.max():
                return f"column {name} is {values[0]} in every row"
    return None


def not_finite(x: Tensor) -> str | None:
    """Where float examples [N, ...] are not finite: "row 3, column 0 is nan", None if they are everywhere."""
    bad = (~x.isfinite()).nonzero()
    if not len(bad):
        return None
    row, *place = bad[0].tolist()
    more = f", and {len(bad) - 1:,} more numbers are not finite" if len(bad) > 1 else ""
    return f"row {row}, column {_number(place)} is {x[tuple(bad[0])].item()}{more}"


def constant_column(x: Tensor) -> str | None:
    """Which column of the examples [N, ...] never changes: "column 2 is 0.5 in every row", or None."""
    if len(x) < 2:
        return None
    same = (x.amin(dim=0) == x.amax(dim=0)).nonzero()
    if not len(same):
        return None
    place = tuple(same[0].tolist())
    return f"column {_number(place)} is {x[0][place].item():g} in every row"


def _number(place: Any) -> str:
    return ", ".join(map(str, place))


def _tables(table: Any) -> Iterator[list[tuple[Any, np.ndarray]]]:
    """The columns of each table by name."""
    if isinstance(table, tuple | list):
        for part in table:
            yield from _tables(part)
    elif hasattr(table, "columns"):
        yield [(f"{name!r}", table.iloc[:, index].to_numpy()) for index, name in enumerate(table.columns)]
    elif isinstance(table, np.ndarray) and table.ndim == 2:
        yield [(index, table[:, index]) for index in range(table.shape[1])]


def _example_of_text(values: np.ndarray) -> str:
    for row, value in enumerate(values):
        if not isinstance(value, int | float | np.number):
            return f"{str(value)[:20]!r} (row {row})"
    return "objects"
