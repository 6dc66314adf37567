"""A run's metrics.csv, read for people: long as it is written, or wide."""

from pathlib import Path
from typing import Any

from genmodels.errors import UserError
from genmodels.training.csv_logger import COLUMNS, read_rows


def read_metrics(folder: str | Path, wide: bool = False) -> list[dict[str, Any]]:
    """The rows of a run's metrics.csv as dicts, ready for `pandas.DataFrame`; none if nothing was logged.

    Args:
        folder: of the run.
        wide: one row per step with all that was logged at it, `step`, `epoch` and each figure under its name; every row
            has every name, None where nothing was logged. Otherwise one row `step, epoch, name, value` per figure.

    Raises:
        UserError: the file is larger than any run's, or none.
    """
    try:
        rows = read_rows(Path(folder) / "metrics.csv")
    except ValueError as error:
        raise UserError(str(error)) from error
    if not wide:
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    names = dict.fromkeys(name for _, _, name, _ in rows)
    steps: dict[int, dict[str, Any]] = {}
    for step, epoch, name, value in rows:
        found = steps.setdefault(step, {"step": step, "epoch": epoch, **dict.fromkeys(names)})
        found[name] = value
    return [steps[step] for step in sorted(steps)]
