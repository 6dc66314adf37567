"""Runs side by side: where their configurations differ, and what came of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from genmodels.errors import UserError, printable
from genmodels.runs.folder import RunFolder
from genmodels.runs.tables import in_short

_RECORDED = ("status", "parameters", "steps", "wall_time_seconds", "images_per_second")


def compare_runs(paths: Sequence[str]) -> Table:
    """A column for every run; rows for the keys that differ, for what was recorded, and for all figures.

    Raises:
        UserError: fewer than two runs, or a folder that is not a run's.
    """
    if len(paths) < 2:
        raise UserError("runs needs two run folders or more: runs=[<folder>,<folder>]")
    folders = [RunFolder.existing(path, "runs") for path in paths]
    names = [printable(f"{f.path.parent.name}/{f.path.name}") for f in folders]
    table = Table("", *names, box=box.SIMPLE_HEAD)
    for column in table.columns:
        column.overflow = "fold"
    configs = [dict(leaves(folder.read_config())) for folder in folders]
    _add(table, differing(configs))
    table.add_section()
    records = [folder.read_record() for folder in folders]
    _add(table, _rows([{key: _text(record[key]) for key in _RECORDED if key in record} for record in records]))
    table.add_section()
    _add(table, _rows([{name: in_short(entry) for name, entry in f.read_metrics().items()} for f in folders]))
    return table


def differing(columns: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """The keys whose values differ between some of the columns, and the values; "" where a column lacks the key."""
    return {key: values for key, values in _rows(columns).items() if len(set(values)) > 1}


def _rows(columns: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    keys = dict.fromkeys(key for column in columns for key in column)
    return {key: [column.get(key, "") for column in columns] for key in keys}


def _add(table: Table, rows: Mapping[str, Sequence[str]]) -> None:
    for key, values in rows.items():
        table.add_row(*map(printable, (key, *values)))


def leaves(config: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """All settings of a configuration by their keys, as one would type them."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", _text(value)


def _text(value: Any) -> str:
    """As it would be typed on the command line."""
    return value if isinstance(value, str) else json.dumps(value)
