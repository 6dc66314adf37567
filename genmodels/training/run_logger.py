"""What every logger of a run offers."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger


class RunLogger(Logger):
    """Base of the loggers: takes metrics, and whatever else it overrides; the rest is nothing to it.

    `log_metrics(metrics, step)` gets numbers by name, `epoch` among them. All methods do nothing on ranks but the first
    (`rank_zero_only`).
    """

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: a logger that shows the config gets it when it is built."""

    def log_picture(self, name: str, path: Path, step: int) -> None:
        """Show the picture file at `path` under `name`."""

    def log_final(self, metrics: Mapping[str, float], step: int) -> None:
        """Take the final figures, e.g. `test/bits_per_dim`, of the weights after `step` steps."""
        self.log_metrics(dict(metrics), step)

    def size(self) -> int:
        """How much has been logged: the place to `rewind` to, saved with every checkpoint."""
        return 0

    def rewind(self, size: int) -> None:
        """Forget what came after `size`: a resumed run logs it again."""

    def close(self) -> None:
        """End what was begun, so that another run may log in the same process."""


def loggers_of(trainer: pl.Trainer) -> list[RunLogger]:
    """The loggers of a run's trainer, which is given no others."""
    return cast(list[RunLogger], trainer.loggers)
