"""Find the run that a killed process left, so that the same command can be given again."""

import contextlib
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genmodels import slurm
from genmodels.config.resuming import same_run
from genmodels.errors import UserError
from genmodels.runs.folder import RunFolder
from genmodels.runs.places import folder_of_runs


def newest_unfinished(config: Mapping[str, Any]) -> RunFolder | None:
    """The newest run of this name under `output_dir` that stopped before its end and can go on with this config.

    Its saved config is the same but for what a resumed run may change, it has a checkpoint, and no process of this
    machine is still at work on it.
    """
    folders = _unfinished(folder_of_runs(config["output_dir"], config["name"]))
    fitting = (folder for folder in folders if same_run(folder.read_config(), config))
    return max(fitting, key=lambda folder: folder.read_record().get("started") or "", default=None)


def requeued_run(config: Mapping[str, Any], run_dir: str | Path) -> RunFolder | None:
    """The run that this job of SLURM has begun before it was started again, None without a checkpoint of one.

    Args:
        run_dir: folder of a new run, which it is where the user has named it.
    """
    if not slurm.is_started_again():
        return None
    runs = folder_of_runs(config["output_dir"], config["name"]).glob("*/run.json")
    for folder in map(RunFolder, [run_dir, *(file.parent for file in runs)]):
        with contextlib.suppress(UserError):  # damaged: not one to go on with
            if folder.last.exists() and folder.read_record().get("slurm") == slurm.step():
                return folder
    return None


def _unfinished(parent: Path) -> Iterator[RunFolder]:
    for file in parent.glob("*/run.json"):
        folder = RunFolder(file.parent)
        with contextlib.suppress(UserError):  # damaged: not one to go on with
            record = folder.read_record()
            if record.get("status") != "finished" and folder.last.exists() and not _goes_on(record):
                folder.read_config()
                yield folder


def _goes_on(record: Mapping[str, Any]) -> bool:
    """Whether the process that wrote the record is there. A machine elsewhere cannot be asked."""
    pid, host = record.get("pid"), (record.get("hardware") or {}).get("host")
    if record.get("status") != "running" or pid in (None, os.getpid()) or host != platform.node():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # somebody else's
    return True
