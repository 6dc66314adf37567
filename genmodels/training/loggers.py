"""Where metrics go: the choices of conf/logger."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

import pytorch_lightning as pl

from genmodels.errors import UserError
from genmodels.objectives.objective import Selection
from genmodels.training.csv_logger import CSVMetrics
from genmodels.training.run_logger import RunLogger, loggers_of
from genmodels.training.tensorboard_logger import TensorBoardRun
from genmodels.training.wandb_logger import WandbRun

Mode = Literal["offline", "online", "disabled"]
_LONGEST_PROJECT = 128
_FORBIDDEN = "/\\#?%:"


def build_loggers(
    folder: str | Path,
    wandb_id: str,
    config: Mapping[str, Any] | None = None,
    mode: Mode | None = None,
    project: str = "genmodels",
    group: str | None = None,
    csv: bool = True,
    tensorboard: bool = False,
    selection: Selection | None = None,
) -> list[RunLogger]:
    """Return the loggers of the run in `folder`.

    Args:
        folder: run folder; metrics.csv, wandb/ and tensorboard/ appear in it.
        wandb_id: a resumed run goes on under the same id.
        config: resolved configuration, which wandb and TensorBoard show.
        mode: of wandb: `offline` (no account; `wandb sync` uploads later), `online` or `disabled`. None: what
            WANDB_MODE says, else online where wandb finds a key, else offline.
        project, group: in wandb; the trials of a sweep are one group unless it is named.
        csv: whether to write metrics.csv.
        tensorboard: whether to write TensorBoard's files.
        selection: the figure of which wandb's tables show the best value.

    Raises:
        UserError: `mode` is none of the three, wandb takes no project of that name, or TensorBoard is not installed.
    """
    if mode is not None and mode not in get_args(Mode):
        raise UserError(f"logger.mode={mode} must be offline, online or disabled.")
    if mode != "disabled" and (len(project) > _LONGEST_PROJECT or set(project) & set(_FORBIDDEN)):
        raise UserError(
            f"logger.project={project} must be a name of at most {_LONGEST_PROJECT} characters, none of them among "
            f"{' '.join(_FORBIDDEN)}, which wandb forbids in it"
        )
    if mode is None and os.environ.get("WANDB_MODE") in get_args(Mode):
        mode = cast(Mode, os.environ["WANDB_MODE"])
    folder = Path(folder)
    loggers: list[RunLogger] = [CSVMetrics(folder)] if csv else []
    if mode != "disabled":
        loggers.append(WandbRun(folder, wandb_id, config or {}, mode, project, group or _sweep_of(folder), selection))
    if tensorboard:
        loggers.append(TensorBoardRun(folder, config or {}))
    return loggers


def _sweep_of(folder: Path) -> str | None:
    """Name of the sweep whose trial lies in `folder`: Hydra marks the folder of a sweep."""
    for above in folder.absolute().parents:
        if (above / "multirun.yaml").exists():
            return above.name
    return None


def close_loggers(loggers: Iterable[RunLogger]) -> None:
    """End what the loggers have begun, so that another run may log in the same process."""
    for logger in loggers:
        logger.close()


def log_final(loggers: Iterable[RunLogger], metrics: Mapping[str, float], step: int) -> None:
    """Send the final figures, e.g. `test/bits_per_dim`, of the weights after `step` steps; before the loggers close."""
    for logger in loggers:
        logger.log_final(metrics, step)


def log_picture(trainer: pl.Trainer, name: str, path: Path, step: int) -> None:
    """Show the picture at `path` under `name` in every logger that shows pictures."""
    for logger in loggers_of(trainer):
        logger.log_picture(name, path, step)
