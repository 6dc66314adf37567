"""One cell in a process of its own, `python -m genmodels.tables.cell <folder> [data_dir=...]`: timed, then trained.

Its plan lies in the folder (cell.json). A cell that was interrupted goes on with the length it was given at first.
"""

import os
import shutil
import signal
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

import genmodels
from genmodels.config.mistakes import sentence_for
from genmodels.errors import Interrupted
from genmodels.runs.folder import RunFolder
from genmodels.tables.budgets import latest_end, lengths, scored, validations
from genmodels.tables.plan import CellFile

_OURS = ("cell.json", "log.txt")


def run(path: Path, location: list[str]) -> None:
    """Train the cell, or go on with it.

    Args:
        path: its folder, with a plan.
        location: overrides that say where data lies.

    Raises:
        UserError: as `genmodels.train`.
        Interrupted: after a checkpoint.
    """
    folder, file = RunFolder(path), CellFile(path)
    if folder.last.exists():
        genmodels.train([f"resume={path}", *location])
        return
    _clear(path)
    plan = file.read()
    if plan["seconds"] is not None and "length" not in plan:
        file.update(**_timed(plan, location))
        plan = file.read()
    genmodels.train([*plan["overrides"], *plan.get("length", []), *location], path)


def _timed(plan: dict[str, Any], location: list[str]) -> dict[str, Any]:
    from genmodels.tables.timing import time_steps

    config = genmodels.compose([*plan["overrides"], *location])
    timing = time_steps(config, plan["seconds"], plan["clock"], plan["recipe"])
    steps = max(1, round(plan["seconds"] / timing.seconds_per_step))
    if plan["recipe"]["is_longest"]:
        steps = min(steps, round(timing.recipe_steps))
    print(f"{timing.seconds_per_step:.4f} {plan['clock']} seconds a step: {steps:,} steps", flush=True)
    count = validations(config, plan["seconds"], timing.seconds_per_example)
    length = lengths(config, steps, timing.recipe_steps, count)
    length += scored(config, plan["seconds"], timing.seconds_per_example)
    length += latest_end(plan["seconds"], plan["clock"])
    return {"timing": asdict(timing), "length": length}


def _clear(path: Path) -> None:
    """Remove a run that has left no checkpoint, and so holds nothing."""
    for entry in path.iterdir():
        if entry.name in _OURS:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell began the table in its background
    path, location = Path(sys.argv[1]), sys.argv[2:]
    try:
        run(path, location)
    except (Interrupted, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        sentence = sentence_for(error, "config", [])
        if sentence is None:
            traceback.print_exc()
            sys.exit(1)
        print(sentence, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    os.environ["WANDB_SILENT"] = "true"
    main()
