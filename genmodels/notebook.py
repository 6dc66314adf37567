"""Runs from a notebook or a program of one's own: what the command line offers, without its exit codes."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genmodels.config import compose as hydra_compose
from genmodels.config.mistakes import sentence_for
from genmodels.errors import UserError

if TYPE_CHECKING:
    from genmodels.runs.finished_run import Run


def compose(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The configuration that `train` would run with, as plain containers.

    Args:
        overrides: as typed on the command line: ["model=glow", "data=cifar10", "optimizer.lr=5e-4"].

    Raises:
        UserError: an option or a key that does not exist, in one sentence.
    """
    with _short_errors(overrides):
        return hydra_compose.compose(overrides)


def train(what: Sequence[str] | Mapping[str, Any] = (), run_dir: str | Path | None = None) -> "Run":
    """Train, score the test set, and return the run with the weights that count.

    Args:
        what: overrides as for `compose`, or a whole configuration from it. With resume=<folder> that run goes on.
        run_dir: folder of a new run; by default <output_dir>/<name>/<date_time>.

    Raises:
        UserError: a mistake in the configuration, missing data, or training that had to stop.
        Interrupted: the interrupt button or a signal ended it, after a checkpoint.
    """
    overrides = [] if isinstance(what, Mapping) else list(what)
    config = dict(what) if isinstance(what, Mapping) else compose(overrides)
    with _short_errors(overrides):
        from genmodels.experiment import start, train_from
        from genmodels.runs.finished_run import load_run
        from genmodels.runs.places import folder_of_runs

        new = folder_of_runs(config["output_dir"], config["name"]) / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
        begun = start(config, run_dir or new, overrides)
        train_from(begun)
        return load_run(begun.folder.path)


@contextlib.contextmanager
def _short_errors(overrides: Sequence[str]) -> Iterator[None]:
    """A user's mistake as a UserError without the stack of whoever noticed it."""
    try:
        yield
    except Exception as error:
        sentence = sentence_for(error, "config", overrides)
        if sentence is None:
            raise
        raise UserError(sentence) from None
