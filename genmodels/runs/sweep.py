"""A sweep: trials in folders named by what varies, and a table of them all at the end."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override
from rich import box
from rich.table import Table

from genmodels.commands import typeable
from genmodels.config.mistakes import sentence_for
from genmodels.files import write_text
from genmodels.runs.folder import RunFolder
from genmodels.runs.tables import in_short, print_table

_LONGEST_NAME = 100


@dataclass(frozen=True)
class _Sweep:
    folder: Path
    fixed: frozenset[str]  # keys and groups with one value for all trials


_begun: list[_Sweep] = []  # Hydra tells its callbacks nothing of a sweep that ends in an error


class _Failed(JobReturn):
    """What Hydra keeps of a trial that failed. Its own prints a line about it besides; ours is told already."""

    @property
    def return_value(self) -> Any:
        raise self._return_value

    @return_value.setter
    def return_value(self, value: Any) -> None:
        self._return_value = value


class SweepRecord(Callback):
    """Hydra's callback: names the trials' folders by what varies, and notes in each run.json how its trial ended."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
        fixed = frozenset(o.key_or_group for o in overrides if not o.is_sweep_override())
        _begun.append(_Sweep(Path(config.hydra.sweep.dir).absolute(), fixed))
        quoted = ",".join(f"'{key}'" for key in sorted(fixed))
        with flag_override(config, ["struct", "readonly"], False):
            config.hydra.overrides.hydra.append(f"hydra.job.config.override_dirname.exclude_keys=[{quoted}]")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        folder = RunFolder(config.hydra.runtime.output_dir)
        if job_return.status == JobStatus.COMPLETED:
            folder.update_record(validation=job_return.return_value)
            return
        job_return.__class__ = _Failed
        overrides = list(job_return.overrides or ())
        error = job_return._return_value  # the property would raise it
        sentence = sentence_for(error, "config", overrides) or f"{type(error).__name__}: {error}"
        folder.update_record(overrides=overrides, status="failed", error=sentence)


def trial_folder(number: int, varied: str) -> str:
    """The name of a trial's folder, `0_model.width-32_seed-1`: short, and to be typed as it stands after run=."""
    safe = re.sub(r"[^\w.+-]+", "-", varied).strip("-")
    return f"{number}_{safe}"[:_LONGEST_NAME].rstrip("_-.")


OmegaConf.register_new_resolver("trial_folder", trial_folder, replace=True)


def conclude_sweep() -> None:
    """Print the table of the trials of a sweep, if there was one, and leave it in the sweep's folder as sweep.json."""
    while _begun:
        sweep = _begun.pop()
        trials = list(_trials(sweep))
        if not trials:
            continue
        write_text(sweep.folder / "sweep.json", json.dumps(trials, indent=2) + "\n")
        _print(trials)
        print(f"sweep     {typeable(sweep.folder)}")


def _trials(sweep: _Sweep) -> Iterator[dict[str, Any]]:
    """What is known of every trial that has begun, in their order."""
    files = sweep.folder.glob("*/run.json")
    for file in sorted(files, key=lambda file: (_number(file.parent), file.parent.name)):
        folder = RunFolder(file.parent)
        record = folder.read_record()
        overrides = OverridesParser.create().parse_overrides(record.get("overrides", []))
        yield {
            "folder": folder.path.name,
            "varied": {
                o.key_or_group: o.get_value_element_as_str() for o in overrides if o.key_or_group not in sweep.fixed
            },
            "status": record.get("status"),
            "error": record.get("error"),
            "validation": record.get("validation"),
            "figures": folder.read_metrics(),
        }


def _number(folder: Path) -> int:
    found = re.match(r"\d+", folder.name)
    return int(found.group()) if found else -1


def _print(trials: list[dict[str, Any]]) -> None:
    varied = list(dict.fromkeys(key for trial in trials for key in trial["varied"]))
    figures = list(dict.fromkeys(name for trial in trials for name in trial["figures"]))
    table = Table("trial", *varied, "validation", *figures, "status", box=box.SIMPLE_HEAD)
    for trial in trials:
        number = str(_number(Path(trial["folder"])))
        values = [trial["varied"].get(key, "") for key in varied]
        table.add_row(number, *values, _shown(trial["validation"]), *_figures(trial, figures), trial["status"])
    print_table(table)
    for trial in trials:
        if trial["error"]:
            print(f"trial {_number(Path(trial['folder']))}: {trial['error']}")


def _figures(trial: Mapping[str, Any], names: list[str]) -> list[str]:
    return [in_short(trial["figures"].get(name)) for name in names]


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
