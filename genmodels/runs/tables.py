"""Runs' figures in tables on the screen."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def plain_console() -> Console:
    """A console that takes no text for markup: names in tables may be a stranger's."""
    return Console(highlight=False, markup=False, emoji=False)


def in_short(entry: Mapping[str, Any] | None) -> str:
    """Mean ± standard error of an entry of metrics.json; empty where there is none."""
    if entry is None:
        return ""
    error = entry.get("standard_error")
    return f"{entry['mean']:.4f}" + ("" if error is None else f" ± {error:.4f}")


def print_table(table: Table, console: Console | None = None) -> None:
    """Fitted to a terminal; elsewhere as wide as it needs to be, a line for every row. Texts are shown as they are."""
    console = console or plain_console()
    if not console.is_terminal:
        console.width = 1000
    console.print(table)
