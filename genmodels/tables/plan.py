"""What a cell is to run: its overrides of train.py, its folder, and whether a run there is still the cell's."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

import genmodels
from genmodels.config.compose import CONFIG_DIR, choices_of
from genmodels.errors import UserError
from genmodels.runs.folder import RunFolder, read_json, write_json
from genmodels.tables.budgets import Budget, settings
from genmodels.tables.definition import Cell, Source, Table

_KEPT_CHOICES = ("objective", "optimizer", "scheduler")  # of the recipe, where a small model would bring its own
_NO_SIZE = ("defaults", "alpha")  # of what a small model's file sets; alpha belongs to the data
_ELSEWHERE = ("data_dir", "output_dir", "published", "name", "logger", "resume", "plugins")  # change no figure


@dataclass(frozen=True)
class Job:
    """A cell with one seed.

    Attributes:
        cell: of the table.
        seed: of the run.
        budget: it is given.
        folder: of its run.
        seconds: of training; None: as long as the recipe is.
    """

    cell: Cell
    seed: int
    budget: Budget
    folder: RunFolder
    seconds: float | None

    @property
    def label(self) -> str:
        column = f", {self.cell.column}" if self.cell.column else ""
        return f"{self.cell.row}{column}" + (f", seed {self.seed}" if self.seed else "")


class CellFile:
    """cell.json in a run's folder: what the table knows of the run.

    Keys: fingerprint, overrides (of the recipe, before its length), seconds, clock, recipe (its length and batch,
    and whether no run may be longer),
    length (overrides, once the model has been timed), timing, parts (one entry for every process: CPU seconds, exit
    code).
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "cell.json"

    def read(self) -> dict[str, Any]:
        return read_json(self._path)

    def update(self, **entries: Any) -> None:
        write_json(self._path, {**self.read(), **entries})


def jobs_of(
    table: Table, rows: list[str], columns: list[str], seeds: list[int], budget: Budget, root: Path
) -> list[Job]:
    """Every cell that can run, with every seed, row by row.

    Args:
        root: folder of all tables' runs.
    """
    seconds = budget.training_seconds(len(table.columns), len(table.runnable))
    jobs = []
    for cell in table.runnable:
        if cell.row in rows and cell.column in columns:
            jobs += [Job(cell, s, budget, folder_of(table, cell, s, budget, root), seconds) for s in seeds]
    return jobs


def folder_of(table: Table, cell: Cell, seed: int, budget: Budget, root: Path) -> RunFolder:
    """<root>/<table>/<budget>/<row>__<column>__seed<N>, without what is empty or nought."""
    parts = [cell.row, *([cell.column] if cell.column else []), *([f"seed{seed}"] if seed else [])]
    return RunFolder(root / table.name / budget.name / "__".join(parts))


def prepare(job: Job, metrics: tuple[str, ...]) -> dict[str, Any]:
    """Write the job's plan into its folder, unless the one there is the same; a run of another plan is moved aside.

    Returns: the plan, the config's data node in it under "data".

    Raises:
        UserError: the row, the column or the cell has overrides that do not go together.
    """
    plan, data = _plan_of(job, metrics)
    path, file = job.folder.path, CellFile(job.folder.path)
    if _is_of_another(job, plan):
        path.rename(path.with_name(f"{path.name}.before-{uuid.uuid4().hex[:8]}"))
    if file.read().get("fingerprint") != plan["fingerprint"]:
        file.update(**plan)
    return {**file.read(), "data": data}


def has_changed(job: Job, metrics: tuple[str, ...]) -> bool:
    """Whether the job's run is finished and yet not what the table now asks for: `prepare` would move it aside."""
    if job.folder.read_record().get("status") != "finished":
        return False
    try:
        plan, _ = _plan_of(job, metrics)
    except UserError:
        return True
    return _is_of_another(job, plan)


def _is_of_another(job: Job, plan: Mapping[str, Any]) -> bool:
    before = CellFile(job.folder.path).read().get("fingerprint")
    return before is not None and before != plan["fingerprint"]


def _plan_of(job: Job, metrics: tuple[str, ...]) -> tuple[dict[str, Any], Any]:
    """What the table now asks for, and the config's data node."""
    assert job.cell.source is not None
    chosen = overrides_of(job.cell.source, job.seed, job.budget)
    try:
        config = genmodels.compose(chosen)
    except UserError as error:
        raise UserError(f"{job.label}: {error}") from error
    plan: dict[str, Any] = {
        "overrides": [*chosen, *settings(config, job.budget, metrics)],
        "seconds": job.seconds,
        "clock": job.budget.clock,
        "recipe": {
            **{key: config["trainer"][key] for key in ("max_steps", "max_epochs")},
            "batch": config["data"]["batch_size"],
            "is_longest": job.cell.source.experiment is not None,
        },
    }
    what = {key: value for key, value in config.items() if key not in _ELSEWHERE}
    what["data"] = {key: value for key, value in config["data"].items() if key not in ("root", "download")}
    plan["fingerprint"] = fingerprint([what, plan, asdict(job.budget)])
    return plan, config["data"]


def overrides_of(source: Source, seed: int, budget: Budget) -> list[str]:
    """The recipe as it is typed; with a budget of small models, the small one in its place."""
    own = [*source.overrides, f"seed={seed}"]
    chosen = [f"{key}={value}" for key in ("experiment", "model", "data") if (value := getattr(source, key))]
    if not budget.small:
        return [*chosen, *own]
    if source.model is not None:
        small = _small(source.model)
        return [*(f"model={small}" if small and part == f"model={source.model}" else part for part in chosen), *own]
    choices = choices_of([*chosen, *own])
    small = _small(choices["model"])
    if small is None:
        return [*chosen, *own]
    kept = [f"{group}={choices[group]}" for group in _KEPT_CHOICES]
    return [*chosen, f"model={small}", *kept, *_size_of(small, [*chosen, f"model={small}"]), *own]


def _size_of(small: str, recipe: list[str]) -> list[str]:
    """What the small model sets of itself and the recipe would set otherwise; not what it sets of its parts."""
    body = yaml.safe_load((CONFIG_DIR / "model" / f"{small}.yaml").read_text(encoding="utf-8"))
    size = {key: value for key, value in body.items() if key not in _NO_SIZE and not isinstance(value, dict)}
    model = genmodels.compose(recipe)["model"]
    return [f"model.{key}={json.dumps(value)}" for key, value in size.items() if model[key] != value]


def _small(model: str) -> str | None:
    name = f"{model}_small"
    return name if (CONFIG_DIR / "model" / f"{name}.yaml").is_file() else None


def fingerprint(what: Any) -> str:
    """The same for the same content, whatever the order of keys."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def state(folder: RunFolder, plan: Mapping[str, Any]) -> str:
    """finished, failed, interrupted or new: a run that was killed is interrupted where it has a checkpoint."""
    status = folder.read_record().get("status")
    if status == "finished":
        return "finished"
    parts = plan.get("parts") or []
    if parts and parts[-1]["exit"] not in (0, 130):
        return "failed"
    return "interrupted" if folder.last.exists() else "new"
