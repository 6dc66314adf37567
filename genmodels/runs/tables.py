"""Runs' figures in tables on the screen."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def plain_console() -> Console:
    """A console that takes no text for markup: names in tables may be a stranger's."""
    return Console(highlight=False, markup=False, emoji=False)


def in_short(entry: Mapping[str, Any] | None) -> str:
    """Mean ± standard error of an entry of metrics.json, and the deviation over seeds where it is of several.

    Empty where there is none.
    """
    if entry is None:
        return ""
    error, deviation = entry.get("standard_error"), entry.get("deviation")
    of_seeds = "" if deviation is None else f", deviation {deviation:.4f} over {len(entry['seeds'])} seeds"
    return f"{entry['mean']:.4f}" + ("" if error is None else f" ± {error:.4f}") + of_seeds


def in_lines(entries: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A line for each entry of metrics.json: its name, what `in_short` says, and of what kind it is."""
    for name, entry in entries.items():
        unit = f" {entry['unit']}" if entry["unit"] else ""
        yield f"{name} {in_short(entry)}{unit} ({entry['kind']}, {entry['num_examples']:,} {entry['counted']})"


def print_table(table: Table, console: Console | None = None) -> None:
    """Fitted to a terminal; elsewhere as wide as it needs to be, a line for every row. Texts are shown as they are."""
    console = console or plain_console()
    if not console.is_terminal:
        console.width = 1000
    console.print(table)
