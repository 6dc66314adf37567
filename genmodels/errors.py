"""What a front door prints as a sentence instead of a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can mend.

    The message is one sentence (a second one may hold the remedy) that names the key, file or value and what would
    be right. Front doors print it without a traceback and exit with code 2.

    Args:
        message: as it is told where a configuration is composed.
        of_a_run: as it is told to whoever uses a finished run, where the remedy is another one.
    """

    def __init__(self, message: str, of_a_run: str | None = None) -> None:
        super().__init__(message)
        self.of_a_run = of_a_run or message


class Interrupted(Exception):
    """Training was stopped from outside (Ctrl-C, a signal) and has left its checkpoint.

    The message says how to go on. Front doors print it and exit with code 130.
    """


class Requeued(Interrupted):
    """As above, by SLURM, which is to start the job again."""


class Pruned(Exception):
    """A search has given the run up while it trained: no mistake, and nothing is left to be done."""


def printable(text: str) -> str:
    """`text` with every character escaped that a terminal would obey instead of showing; line ends are kept."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` was most likely meant to be, or None when nothing is close."""
    found = difflib.get_close_matches(word, [str(candidate) for candidate in candidates], n=1, cutoff=0.6)
    return found[0] if found else None
