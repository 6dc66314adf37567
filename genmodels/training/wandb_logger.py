"""Weights & Biases."""

import json
import os
import shlex
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities import rank_zero_only

from genmodels.errors import UserError
from genmodels.objectives.objective import Selection
from genmodels.training.run_logger import RunLogger

_PROCESS = Path(__file__).with_name("wandb_process.py")


class WandbRun(RunLogger):
    """Logs metrics and pictures over optimiser steps into <folder>/wandb, always under the same run id.

    wandb runs in a process of its own, started with the first row. There it takes 1.1 s of CPU, import and files
    included; beside torch, whose many modules its start inspects, 2 s. And a killed training still leaves a whole run.
    What goes wrong with wandb later is told once and does not end the training.

    Args:
        folder: run folder.
        id: of the run; one that exists is continued.
        config: shown with the run.
        mode: `offline` (no account; `wandb sync` uploads later) or `online`; None: online where wandb finds a key and a
            connection, else offline.
        project: wandb project.
        group: runs of one group are shown together.
        selection: the figure whose best value, not the last, is shown in tables.

    Raises:
        UserError: the folder holds settings of wandb.
    """

    def __init__(
        self,
        folder: Path,
        id: str,
        config: Mapping[str, Any],
        mode: str | None = None,
        project: str = "genmodels",
        group: str | None = None,
        selection: Selection | None = None,
    ) -> None:
        super().__init__()
        for settings in (folder / "wandb" / "settings", folder / ".wandb" / "settings"):
            if (
                settings.exists()
            ):  # read by wandb from within the folder; it may name the server that the key is sent to
                raise UserError(f"{settings} would steer wandb and is not the run's: remove it")
        self._folder = folder
        self._first_line: dict[str, Any] = {
            "mode": mode,
            "argv": sys.argv,
            "best": {f"val/{selection.name}": "min" if selection.direction == "lower" else "max"} if selection else {},
            "dir": str(folder),
            "id": id,
            "config": dict(config),
            "project": project,
            "group": group,
            "tags": _tags(config),
            "name": "/".join(folder.resolve().parts[-2:]),
        }
        self._process: subprocess.Popen[str] | None = None
        self._has_failed = False

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Raises UserError: online without a login or connection."""
        self._send({"metrics": {name: float(value) for name, value in metrics.items()}, "step": step})

    @rank_zero_only
    def log_picture(self, name: str, path: Path, step: int) -> None:
        self._send({"pictures": {name: str(path.absolute())}, "step": step})

    @rank_zero_only
    def log_final(self, metrics: Mapping[str, float], step: int) -> None:
        """Into the summary."""
        self._send({"summary": dict(metrics), "step": step})

    @rank_zero_only
    def close(self) -> None:
        """End the run, if it was begun, and wait until wandb has written or uploaded all of it."""
        if self._process is None:
            return
        self._send({"end": True})
        self._process.communicate()
        self._process = None

    def _send(self, message: Mapping[str, Any]) -> None:
        if self._has_failed:
            return
        if self._process is None:
            self._begin()
        try:
            self._write(message)
        except BrokenPipeError:
            self._has_failed = True
            reason = self._answer() or "its process has ended"
            warnings.warn(f"wandb stopped ({reason}); the training goes on without it.", stacklevel=2)

    def _begin(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)  # or wandb writes elsewhere
        self._process = subprocess.Popen(
            [sys.executable, str(_PROCESS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for the training, which then ends this process in order
        )
        self._write({**self._first_line, "pid": os.getpid()})
        if self._first_line["mode"] == "online" and (reason := self._answer()):
            self._has_failed = True
            raise UserError(
                f"logger.mode=online needs a Weights & Biases login and a connection ({reason}); "
                "run `wandb login`, or set logger.mode=offline."
            )

    def _write(self, message: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message, default=str) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> str | None:
        """What went wrong at the start of the process; waits for the start."""
        assert self._process is not None
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline() or "{}").get("error")


def sync_hint(folder: str | Path) -> str | None:
    """The command that uploads a run's offline parts, if it has any."""
    parts = sorted((Path(folder) / "wandb").glob("offline-run-*"))
    return "wandb sync " + " ".join(shlex.quote(str(part)) for part in parts) if parts else None


def _tags(config: Mapping[str, Any]) -> list[str]:
    """Names of model, data and objective."""
    data = config.get("data", {}).get("name")
    classes = [config.get(key, {}).get("_target_", "").rpartition(".")[2] for key in ("model", "objective")]
    return [tag for tag in (classes[0], data, classes[1]) if tag]
