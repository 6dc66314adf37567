"""Where metrics go: metrics.csv always, Weights & Biases offline unless told otherwise."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl

from genmodels.errors import UserError
from genmodels.training.csv_logger import CSVMetrics
from genmodels.training.run_logger import RunLogger, loggers_of
from genmodels.training.wandb_logger import WandbRun


def build_loggers(
    folder: str | Path,
    wandb_id: str,
    config: Mapping[str, Any] | None = None,
    mode: Literal["offline", "online", "disabled"] = "offline",
    project: str = "genmodels",
) -> list[RunLogger]:
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
    loggers: list[RunLogger] = [CSVMetrics(folder)]
    if mode != "disabled":
        loggers.append(WandbRun(Path(folder), wandb_id, config or {}, mode, project))
    return loggers


def close_loggers(loggers: Iterable[RunLogger]) -> None:
    """End what the loggers have begun, so that another run may log in the same process."""
    for logger in loggers:
        logger.close()


def log_picture(trainer: pl.Trainer, name: str, path: Path, step: int) -> None:
    """Show the picture at `path` under `name` in every logger that shows pictures."""
    for logger in loggers_of(trainer):
        logger.log_picture(name, path, step)
