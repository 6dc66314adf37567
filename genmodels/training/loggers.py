"""Where metrics go: metrics.csv always, Weights & Biases offline unless told otherwise."""

import csv
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from genmodels.errors import UserError
from genmodels.files import explaining_full_disk
from genmodels.training.position import module_of
from genmodels.training.wandb_logger import WandbRun

COLUMNS = ("step", "epoch", "name", "value")


class CSVMetrics(Logger):
    """Appends one row `step,epoch,name,value` per metric to <folder>/metrics.csv, flushed at once.

    Raises:
        UserError: the disk is full.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: config.yaml holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        values = dict(metrics)
        epoch = values.pop("epoch")
        with explaining_full_disk(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not self.path.exists()
            with self.path.open("a", newline="") as file:
                writer = csv.writer(file)
                if is_new:
                    writer.writerow(COLUMNS)
                writer.writerows((step, epoch, name, repr(float(value))) for name, value in values.items())

    def size(self) -> int:
        """Bytes written so far: the place to `rewind` to."""
        return self.path.stat().st_size if self.path.exists() else 0

    @rank_zero_only
    def rewind(self, size: int) -> None:
        """Forget every row after the first `size` bytes: a resumed run writes them again."""
        if self.size() > size:
            with self.path.open("r+b") as file:
                file.truncate(size)


def build_loggers(
    folder: str | Path,
    wandb_id: str,
    config: Mapping[str, Any] | None = None,
    mode: Literal["offline", "online", "disabled"] = "offline",
    project: str = "genmodels",
) -> list[Logger]:
    """Return the loggers of the run in `folder`.

    Args:
        folder: run folder; metrics.csv and wandb/ appear in it.
        wandb_id: a resumed run goes on under the same id.
        config: resolved configuration, shown by wandb.
        mode: `offline` (no account; `wandb sync` uploads later), `online` or `disabled` (metrics.csv only).
        project: wandb project.

    Raises:
        UserError: `mode` is none of the three.
    """
    if mode not in ("offline", "online", "disabled"):
        raise UserError(f"logger.mode={mode} must be offline, online or disabled.")
    loggers: list[Logger] = [CSVMetrics(folder)]
    if mode != "disabled":
        loggers.append(WandbRun(Path(folder), wandb_id, config or {}, mode, project))
    return loggers


def close_loggers(loggers: Iterable[Logger]) -> None:
    """End the wandb run, so that another run may start in the same process."""
    for logger in loggers:
        if isinstance(logger, WandbRun):
            logger.close()


def log_picture(trainer: pl.Trainer, name: str, path: Path) -> None:
    """Show the picture at `path` under `name` in wandb, where that is in use."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbRun):
            logger.log_picture(name, path, module_of(trainer).steps_taken)
