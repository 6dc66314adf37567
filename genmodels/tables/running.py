"""The cells of a table as runs, one after another or through a Hydra launcher."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genmodels.commands import quoted, typeable
from genmodels.config.targets import build
from genmodels.errors import Interrupted, UserError, printable
from genmodels.runs.signals import ending_in_order
from genmodels.tables.plan import CellFile, Job, prepare, state


@dataclass(frozen=True)
class Asked:
    """How to run.

    Attributes:
        data_dir: where data sets lie.
        download: whether to fetch those that are missing.
        launcher: of Hydra's, such as "joblib"; None: one process at a time.
        hydra: overrides for it, such as hydra.launcher.n_jobs=4.
    """

    data_dir: str
    download: bool
    launcher: str | None
    hydra: tuple[str, ...]


def run_jobs(jobs: Sequence[Job], metrics: tuple[str, ...], asked: Asked, after: Callable[[], None]) -> list[str]:
    """Run what is not finished, go on past what fails, and tell how far it is.

    Args:
        metrics: of the table.
        after: called after each run, and at the end.

    Returns: a line for every job that could not be finished, with the path of its log.

    Raises:
        Interrupted: the run at work has left its checkpoint, the others have not begun.
    """
    data = _DataAtHand(asked)
    waiting, told, done = [], [], 0
    for job in jobs:
        plan = prepare(job, metrics)
        if state(job.folder, plan) == "finished":
            done += 1
        elif missing := data.error(plan["data"]):
            told.append(f"{job.label}: {missing}")
            CellFile(job.folder.path).update(no_data=plan["data"]["name"])
        else:
            CellFile(job.folder.path).update(no_data=None)
            waiting.append(job)
    print(f"{done} of {len(jobs)} runs are finished already, {len(told)} have no data", flush=True)
    location = (f"data_dir={Path(asked.data_dir).expanduser().absolute()}",)
    with ending_in_order():
        if asked.launcher is not None and waiting:
            _launch(waiting, asked, location)
        else:
            for job in _in_turn(waiting):
                run_cell(str(job.folder.path), *location)
                after()
    for job in waiting:
        told += _failure(job)
    after()
    return told


def _in_turn(jobs: Sequence[Job]) -> Iterator[Job]:
    """Each job, told before it begins and after it has ended."""
    begin = time.monotonic()
    for number, job in enumerate(jobs):
        guess = (time.monotonic() - begin) / number if number else (job.seconds or 0) * 1.5
        left = f", about {_duration(guess * (len(jobs) - number))} left" if guess else ""
        print(f"[{number + 1}/{len(jobs)}] {job.label}{left}", flush=True)
        yield job
        for line in _failure(job):
            print(f"  {line}", file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _failure(job: Job) -> list[str]:
    if state(job.folder, CellFile(job.folder.path).read()) == "finished":
        return []
    path = job.folder.path
    return [f"{job.label} is not finished: {printable(reason(path))}; its log: {typeable(log_of(path))}"]


def log_of(folder: Path) -> Path:
    """Of a cell's processes."""
    return folder / "log.txt"


def reason(folder: Path) -> str:
    """The last line that a cell's processes have left."""
    log = log_of(folder)
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it left no word")


def run_cell(folder: str, *location: str) -> None:
    """Run the cell whose plan lies in the folder, in a process of its own; keeps its CPU seconds and how it ended.

    Raises:
        Interrupted, KeyboardInterrupt: it was, and so was the run, which has left its checkpoint.
    """
    path, before = Path(folder), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {"OMP_NUM_THREADS": "1", **os.environ}  # several on a busy machine cost more than they give
    command = [sys.executable, "-m", "genmodels.tables.cell", folder, *location]
    with log_of(path).open("a") as log:
        process = subprocess.Popen(command, env=environment, start_new_session=True, stdout=log, stderr=log)
    try:
        _wait_for(process)
    finally:
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        file = CellFile(path)
        parts = file.read().get("parts") or []
        file.update(parts=[*parts, {"cpu_seconds": round(spent, 1), "exit": process.returncode}])
    if process.returncode == 130:
        raise Interrupted("interrupted")


def _wait_for(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process with a group of its own, to which an interruption is passed on, once."""
    try:
        process.wait()
    except (Interrupted, KeyboardInterrupt):
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
        raise


def _launch(jobs: Sequence[Job], asked: Asked, location: Sequence[str]) -> None:
    """All jobs as one sweep of Hydra's, which calls `run_cell` wherever its launcher says."""
    folder = jobs[0].folder.path.parent
    cells = ",".join(quoted(job.folder.path.absolute()) for job in jobs)
    command = [sys.executable, "-m", "genmodels.tables.launched", "-m", f"hydra/launcher={asked.launcher}"]
    command += [f"cell={cells}", f"location=[{','.join(map(quoted, location))}]"]
    command += [f"hydra.sweep.dir={quoted(folder.absolute() / 'launched')}", *asked.hydra]
    print(f"{len(jobs)} runs through the launcher {asked.launcher}", flush=True)
    process = subprocess.Popen(command, start_new_session=True)
    _wait_for(process)
    if process.returncode:
        raise UserError(f"launcher={asked.launcher} has failed, with code {process.returncode}: it says above why")


class _DataAtHand:
    """Whether data sets can be read, asked once for each."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._told: dict[str, str | None] = {}

    def error(self, node: dict[str, Any]) -> str | None:
        """What is wrong with the data that a config's node names, as one sentence; None if it is there."""
        key = str([node.get(name) for name in ("name", "size", "channels", "variant")])
        if key not in self._told:
            self._told[key] = None
            try:
                module = build({**node, "root": self._asked.data_dir, "download": self._asked.download}, "data")
                module.prepare_data()
                module.setup()
            except UserError as error:
                self._told[key] = str(error)
        return self._told[key]
