"""What became of a table's cells, from their run folders."""

import math
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from genmodels.runs.folder import RunFolder
from genmodels.tables.budgets import Budget, batches_of, rule
from genmodels.tables.definition import Cell, Shown, Table, published
from genmodels.tables.plan import CellFile, folder_of, state
from genmodels.tables.running import reason

_MADE_BY_COMMIT = ("commit", "dirty")
_CHANGED = "the finished run is of another recipe or length, and the row will begin anew"


def collect(
    table: Table,
    seeds: Sequence[int],
    budget: Budget,
    root: Path,
    where: Sequence[str] = (),
    changed: Collection[Path] = (),
) -> dict[str, Any]:
    """The table as it stands, ready for JSON.

    Args:
        root: folder of all tables' runs.
        where: absolute folders, which are cut off wherever a message names them.
        changed: folders of runs that do not count, see `has_changed`.

    Returns: what the table is; under "cells" one entry for each: row, column, published, status ("finished", "not run",
        "failed", "interrupted", "changed", "no data", "missing" or "absent" where the paper has none), reason, figures
        (of the seeds' runs together, by title) and runs (one of each seed).
    """
    return {
        "table": table.name,
        "title": table.title,
        "budget": budget.name,
        "budget_in_words": budget.in_words(len(table.columns), len(table.runnable)),
        "rule": rule() if budget.seconds is not None else "",
        "rows": table.rows,
        "groups": table.groups,
        "columns": table.columns,
        "figures": [vars(shown) for shown in table.figures],
        "protocol": table.protocol,
        "note": table.note,
        "comment": table.comments.get(budget.name, ""),
        "cells": [_cell(table, cell, seeds, budget, root, where, changed) for cell in table.cells],
    }


def _cell(
    table: Table,
    cell: Cell,
    seeds: Sequence[int],
    budget: Budget,
    root: Path,
    where: Sequence[str],
    changed: Collection[Path],
) -> dict[str, Any]:
    source = cell.source
    entry: dict[str, Any] = {
        "row": cell.row,
        "column": cell.column,
        "budget": budget.name,
        "published": published(source),
    }
    if source is None:
        return entry | {"status": "absent", "reason": None, "figures": {}, "runs": []}
    if source.missing is not None:
        return entry | {"status": "missing", "reason": source.missing, "figures": {}, "runs": []}
    folders = [folder_of(table, cell, seed, budget, root) for seed in seeds]
    lacking = [f for f in folders if f.path in changed or f.read_record().get("status") != "finished"]
    runs = [run_of(folder, table.figures, root) for folder in folders if folder not in lacking]
    figures = {shown.title: _together([run["figures"].get(shown.title) for run in runs]) for shown in table.figures}
    status, why = _unfinished(lacking[0], where, changed) if lacking else ("finished", None)
    return entry | {"status": status, "reason": why, "figures": {k: v for k, v in figures.items() if v}, "runs": runs}


def _unfinished(folder: RunFolder, where: Sequence[str], changed: Collection[Path]) -> tuple[str, str | None]:
    """Its status, and why there is no figure of it."""
    if folder.path in changed:
        return "changed", _CHANGED
    plan = CellFile(folder.path).read()
    if plan.get("no_data"):
        return "no data", f"{plan['no_data']} is not at hand"
    found = state(folder, plan)
    if found == "failed":
        told = reason(folder.path)
        for path in where:
            told = told.replace(path.rstrip("/") + "/", "")
        return "failed", told
    return ("interrupted" if found == "interrupted" else "not run"), None


def run_of(folder: RunFolder, shown: Sequence[Shown], root: Path) -> dict[str, Any]:
    """A finished run: what it was, what it took, and the table's figures of it, by title."""
    config, record, plan = folder.read_config(), folder.read_record(), CellFile(folder.path).read()
    parts = plan.get("parts") or []
    on_gpu = bool(record["hardware"]["gpus"]) and config["trainer"]["accelerator"] != "cpu"
    hours = record["wall_time_seconds"] / 3600 if on_gpu else sum(part["cpu_seconds"] for part in parts) / 3600
    metrics = folder.read_metrics()
    found = {s.title: entry for s in shown if (entry := figure_in(metrics, s)) is not None}
    return {
        "run": folder.path.relative_to(root).as_posix(),
        "run_id": record["wandb_id"],
        "git": {key: (record["git"] or {}).get(key) for key in _MADE_BY_COMMIT},
        "command": shlex.join(["python", "train.py", *plan["overrides"], *plan.get("length", [])]),
        "model": config["name"],
        "seed": config["seed"],
        "steps": record["steps"],
        "recipe_steps": (plan.get("timing") or {}).get("recipe_steps"),
        "images_seen": batches_of(config, record["steps"]) * config["data"]["batch_size"],
        "gpu_hours" if on_gpu else "cpu_hours": round(hours, 5),
        "training_wall_seconds": record["wall_time_seconds"],
        "threads": record["hardware"]["threads"],
        "parameters": record["parameters"],
        "figures": found,
    }


def figure_in(metrics: Mapping[str, Mapping[str, Any]], shown: Shown) -> dict[str, Any] | None:
    """The entry of metrics.json that a table's figure is, of the largest K, in the figure's unit; None without one."""
    entries = [entry for entry in metrics.values() if _is(entry, shown)]
    if not entries:
        return None
    entry = max(entries, key=lambda entry: entry["protocol"].get("importance_samples") or 0)
    value, error, unit, kind = entry["mean"], entry["standard_error"], entry["unit"], entry["kind"]
    if shown.part is not None:
        (value, error), kind = entry["parts"][shown.part], "estimate"  # whatever the whole is a bound of
    elif shown.figure == "nll" and unit != "nats":
        factor = entry["other_units"]["nats"] / value
        value, error, unit = value * factor, None if error is None else error * abs(factor), "nats"
    return {
        "name": entry["name"],
        "value": value,
        "standard_error": error,
        "unit": unit,
        "direction": entry["direction"],
        "kind": kind,
        "importance_samples": entry["protocol"].get("importance_samples"),
        "num_examples": entry["num_examples"],
        "split": entry["split"],
        "weights": entry["weights"],
        "weights_of_step": entry["step"],
        "protocol": entry["protocol"],
    }


def _is(entry: Mapping[str, Any], shown: Shown) -> bool:
    name = entry["name"]
    if shown.part is not None and shown.part not in entry["parts"]:
        return False
    if shown.figure == "nll":
        return name in ("nll", "bits_per_dim") and (entry["unit"] == "nats" or "nats" in entry["other_units"])
    return name == shown.figure or name.startswith(f"{shown.figure}_")


def _together(figures: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """The mean over runs; its error is over seeds where there are several, over test examples where there is one."""
    there = [figure for figure in figures if figure is not None]
    if not there:
        return None
    values = [figure["value"] for figure in there]
    one = len(values) == 1
    error = there[0]["standard_error"] if one else stdev(values) / math.sqrt(len(values))
    return {
        "value": mean(values),
        "standard_error": error,
        "over": "examples" if one else f"{len(values)} seeds",
        "unit": there[0]["unit"],
        "kind": there[0]["kind"],
        "direction": there[0]["direction"],
        "name": there[0]["name"],
    }
