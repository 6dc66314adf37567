"""Weights & Biases, offline unless told otherwise."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities import rank_zero_only

from genmodels.errors import UserError
from genmodels.training.run_logger import RunLogger

_STEP = "trainer/global_step"


class WandbRun(RunLogger):
    """Logs metrics and pictures over optimiser steps into <folder>/wandb, always under the same run id.

    Lightning's own WandbLogger cannot be built without a warning from today's wandb, and sets WANDB_MODE for the
    whole process.

    Args:
        folder: run folder.
        id: of the run; one that exists is continued.
        config: shown with the run.
        mode: `offline` (no account; `wandb sync` uploads later) or `online`.
        project: wandb project.
    """

    def __init__(self, folder: Path, id: str, config: Mapping[str, Any], mode: str, project: str) -> None:
        super().__init__()
        self._arguments: dict[str, Any] = {
            "dir": folder,
            "id": id,
            "config": dict(config),
            "mode": mode,
            "project": project,
            "name": "/".join(folder.resolve().parts[-2:]),
        }
        self._run: Any = None

    @property
    def name(self) -> str:
        return "wandb"

    @property
    def version(self) -> str:
        return str(self._arguments["id"])

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The wandb run, started on first use; a stand-in that does nothing on all ranks but the first.

        Raises:
            UserError: online without a login or connection.
        """
        if self._run is None:
            import wandb  # half a second that runs without it need not spend

            self._arguments["dir"].mkdir(parents=True, exist_ok=True)  # or wandb writes elsewhere, with a warning
            quiet = wandb.Settings(silent=True, console="off", disable_job_creation=True)
            try:
                self._run = wandb.init(resume="allow", settings=quiet, **self._arguments)
            except wandb.errors.Error as error:
                raise UserError(
                    f"logger.mode=online needs a Weights & Biases login and a connection ({error}); "
                    "run `wandb login`, or leave logger.mode=offline."
                ) from error
            self._run.define_metric(_STEP)
            self._run.define_metric("*", step_metric=_STEP, step_sync=True)
        return self._run

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run was started with its config."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.experiment.log({**metrics, _STEP: step})

    @rank_zero_only
    def log_picture(self, name: str, path: Path, step: int) -> None:
        """Show the picture file at `path`."""
        import wandb

        self.experiment.log({name: wandb.Image(str(path)), _STEP: step})

    @rank_zero_only
    def close(self) -> None:
        """End the run, if it was begun, so that another may begin in the same process."""
        if self._run is not None:
            self._run.finish()
            self._run = None
