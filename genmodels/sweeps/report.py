"""What came of a study: a table, two pictures, and the command of the best trial."""

import json
import shlex
from collections.abc import Sequence
from typing import Any

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.table import Table

from genmodels.commands import command, typeable
from genmodels.files import write_text
from genmodels.runs.tables import in_short, print_table
from genmodels.sweeps.pictures import draw_importances, draw_parallel_coordinates
from genmodels.sweeps.space import Space
from genmodels.sweeps.study import Study
from genmodels.training.loggers import JOURNAL

_STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}


def conclude(study: Study, space: Space, overrides: Sequence[str]) -> None:
    """Print all trials, the best first, and leave them in trials.json; draw the pictures; say how to train the best.

    Args:
        overrides: those that all trials share.
    """
    trials = sorted(study.trials(), key=_order(study))
    rows = [_row(study, trial) for trial in trials]
    write_text(study.folder / "trials.json", json.dumps(rows, indent=2) + "\n")
    _print(rows, list(space.expressions), study.study.user_attrs["figure"])
    running = [row["trial"] for row in rows if row["status"] == "running"]
    if running:
        print(f"trials {', '.join(map(str, sorted(running)))} are still at work in other processes")
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    for picture in (
        draw_parallel_coordinates(study, space.distributions, complete),
        draw_importances(study, complete),
    ):
        if picture is not None:
            print(f"picture   {typeable(picture)}")
    print(f"dashboard optuna-dashboard {shlex.quote(typeable(study.folder / JOURNAL))}")
    if complete:
        best = complete[0]
        print(f"best      {typeable(study.run(best.number).path)}")
        print(f"again     {command('train')} {shlex.join([*overrides, *space.overrides(best.params)])}")
    else:
        print("no trial has finished, so there is no best one")


def _order(study: Study) -> Any:
    """Finished ones first, by their figure."""
    sign = 1 if study.study.direction == StudyDirection.MINIMIZE else -1

    def order(trial: FrozenTrial) -> tuple[bool, float, int]:
        is_complete = trial.state == TrialState.COMPLETE
        return (not is_complete, sign * (trial.value or 0.0) if is_complete else 0.0, trial.number)

    return order


def _row(study: Study, trial: FrozenTrial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "status": _STATES[trial.state],
        "values": trial.params,
        "validation": trial.value if trial.state == TrialState.COMPLETE else study.best_so_far(trial.number),
        "validations": len(trial.intermediate_values),
        "error": trial.user_attrs.get("error"),
        "figures": study.run(trial.number).read_metrics(),
    }


def _print(rows: Sequence[dict[str, Any]], keys: Sequence[str], figure: str) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row["figures"]))
    table = Table("trial", *keys, figure, *names, "validations", "status", box=box.SIMPLE_HEAD)
    for row in rows:
        values = [_shown(row["values"].get(key)) for key in keys]
        validation = "" if row["validation"] is None else f"{row['validation']:.4f}"
        figures = [in_short(row["figures"].get(name)) for name in names]
        table.add_row(str(row["trial"]), *values, validation, *figures, str(row["validations"]), row["status"])
    print_table(table)
    for row in rows:
        if row["error"]:
            print(f"trial {row['trial']}: {row['error']}")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)
