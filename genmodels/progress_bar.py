"""A progress bar for loops that are not a Lightning fit."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def progress(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Pass `items` on, with a bar on stderr where that is a terminal."""
    console = Console(stderr=True)
    yield from track(items, description, total=total, console=console, disable=not console.is_terminal, transient=True)
