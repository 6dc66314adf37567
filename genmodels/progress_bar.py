"""A progress bar for loops that are not a Lightning fit."""

import contextlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def progress(items: Iterable[T], description: str, total: int | None = None) -> Generator[T, None, None]:
    """Pass `items` on, with a bar on stderr where that is a terminal; of several processes the first has one."""
    console = Console(stderr=True)
    is_shown = console.is_terminal and os.environ.get("RANK", "0") == "0"
    yield from track(items, description, total=total, console=console, disable=not is_shown, transient=True)


@contextlib.contextmanager
def shared_progress(total: int, description: str) -> Iterator[Callable[[Iterable[T]], Iterator[T]]]:
    """One bar over `total` items of several loops; what it gives passes the items of each loop on."""
    with contextlib.closing(progress(range(total), description)) as ticks:
        # The loop's own items first: where they end, no tick may be lost.
        yield lambda items: (item for item, _ in zip(items, ticks, strict=False))


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: "1:02:03"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
