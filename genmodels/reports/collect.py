"""What a report shows of a run, read from its folder. The folder may be a stranger's: whatever it holds is text."""

import glob
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genmodels.errors import UserError
from genmodels.reports.samples import Sample, newest_sample
from genmodels.reports.wording import number
from genmodels.runs.compare import leaves
from genmodels.runs.folder import RunFolder
from genmodels.tables.plan import CellFile
from genmodels.training.csv_logger import Series, read_series


@dataclass(frozen=True)
class RunSummary:
    """A run as it is shown.

    Attributes:
        path: its folder.
        config: every value of config.yaml under its full key, as it would be typed.
        record: run.json.
        figures: metrics.json; see `by_name`.
        series: metrics.csv, by name.
        sample: the newest picture of its samples, if there is one.
    """

    path: Path
    config: Mapping[str, str]
    record: Mapping[str, Any]
    figures: Mapping[str, Mapping[str, Any]]
    series: Series
    sample: Sample | None


def run_folders(patterns: Sequence[str]) -> list[Path]:
    """The run folders that patterns such as `outputs/*/*` name, and those below other folders that they name.

    Raises:
        UserError: a pattern finds none.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        names = glob.glob(str(Path(pattern).expanduser()), recursive=True)  # noqa: PTH207 - Path.glob takes none from /
        matches = [Path(name) for name in names]
        below = [folder for match in matches for folder in ([match] if _is_run(match) else _runs_below(match))]
        if not below:
            raise UserError(
                f"runs={pattern} finds no run folder: name some, or a folder above them, as in runs=outputs"
            )
        found.update(dict.fromkeys(sorted(folder.resolve() for folder in below)))
    return list(found)


def _runs_below(folder: Path) -> list[Path]:
    return [file.parent for file in folder.glob("**/run.json") if _is_run(file.parent)]


def _is_run(folder: Path) -> bool:
    return all((folder / name).is_file() for name in ("config.yaml", "run.json"))


def summary_of(path: Path) -> RunSummary:
    """Read what the report shows of the run in this folder.

    Raises:
        UserError: a file of it is damaged.
    """
    folder = RunFolder(path)
    try:
        series = read_series(path / "metrics.csv")
    except ValueError as error:
        raise UserError(str(error)) from error
    config = dict(leaves(folder.read_config()))
    record = {**_time_of_cell(path), **folder.read_record()}
    return RunSummary(path, config, record, by_name(folder.read_metrics()), series, newest_sample(folder))


def by_name(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Each figure under its name alone, so that runs stand in one column whatever their K and number of examples.

    Of several measurements it is that of the largest K and then of most examples; each of them has a name of its own
    too, its whole key.
    """
    groups: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for key, entry in figures.items():
        groups[key.partition(" ")[0]][key] = entry
    found: dict[str, Mapping[str, Any]] = {}
    for name, same in groups.items():
        found[name] = max(same.values(), key=_effort)
        found |= same if len(same) > 1 else {}
    return found


def _effort(entry: Mapping[str, Any]) -> tuple[float, float]:
    said = entry.get("protocol")
    samples = number(said.get("importance_samples")) if isinstance(said, Mapping) else None
    return samples or 0.0, number(entry.get("num_examples")) or 0.0


def _time_of_cell(path: Path) -> dict[str, Any]:
    """The CPU seconds of a table's run, which stand beside its record."""
    parts = CellFile(path).read().get("parts")
    found = [part.get("cpu_seconds") for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []
    return {"cpu_seconds": found}
