"""The same run with several seeds, and its figures over them."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genmodels import plugins
from genmodels.commands import assigned, command, typeable
from genmodels.config.checks import check
from genmodels.config.devices import started_by_a_launcher
from genmodels.config.overrides import parsed
from genmodels.config.resuming import resumed_config
from genmodels.errors import Interrupted, UserError
from genmodels.evaluation.metrics.over_seeds import entries_over_seeds
from genmodels.experiment import train, try_out
from genmodels.runs.folder import RunFolder
from genmodels.runs.lock import held
from genmodels.runs.tables import in_lines


def train_seeds(config: dict[str, Any], run_dir: str | Path, overrides: Sequence[str] = ()) -> float | None:
    """`train` for `seeds` seeds from `seed` on: each in its own folder below `run_dir`, whose metrics.json is over all.

    With `resume` naming such a folder its seeds go on: finished ones are left as they are, unless the overrides ask for
    more of them, and a larger `seeds` adds to them. One seed, or a folder of one, is `train` alone.

    Args:
        config, run_dir, overrides: as for `train`.

    Returns: the mean of the last validation figures of what was trained; None if there are none.

    Raises:
        UserError: a mistake in the config; training of a seed had to stop: the others are trained before.
        Interrupted: a signal ended it, after a checkpoint.
    """
    saved = _of_seeds(config["resume"])
    if saved is None and config.get("seeds", 1) == 1:
        return train(config, run_dir, overrides)
    if started_by_a_launcher() or config["resume"] == "auto":
        raise UserError("seeds= is for one process that starts all others, and resume= then names its folder")
    typed = [o.input_line or "" for o in parsed(overrides) if o.key_or_group not in ("seeds", "resume")]
    if saved is not None:
        count = config["seeds"] if any(o.key_or_group == "seeds" for o in parsed(overrides)) else saved["seeds"]
        run_dir = Path(str(config["resume"])).expanduser()
        config = resumed_config(saved, typed) | {"plugins": config.get("plugins"), "seeds": count}
    plugins.allow(config.get("plugins"))
    check(config)
    try_out({**config, "seeds": 1})
    folder = RunFolder(run_dir)
    if saved is None:
        folder.require_new()
    with held(folder.path), _recorded(folder, config, overrides):
        return _train_all(folder, config, typed, is_resumed=saved is not None)


def _of_seeds(resume: Any) -> dict[str, Any] | None:
    """The config of a folder of several seeds; None for anything else."""
    if resume in (None, "auto"):
        return None
    saved = RunFolder.existing(str(resume), "resume").read_config()
    return saved if saved.get("seeds", 1) != 1 else None


@contextmanager
def _recorded(folder: RunFolder, config: dict[str, Any], overrides: Sequence[str]) -> Iterator[None]:
    seeds = _seeds(config)
    if not folder.read_record():
        folder.update_record(name=config["name"], published=config.get("published"), overrides=list(overrides))
    folder.write_config(config)
    folder.update_record(status="running", seeds=seeds)
    status = "failed"
    try:
        yield
        status = "finished"
    except (Interrupted, KeyboardInterrupt) as error:
        status = "interrupted"
        way_on = f"all seeds: {command('train')} {assigned('resume', typeable(folder.path))}"
        raise Interrupted(f"{error}\n{way_on}".strip()) from error
    finally:
        folder.update_record(status=status)


def _train_all(folder: RunFolder, config: dict[str, Any], typed: Sequence[str], is_resumed: bool) -> float | None:
    values, failures = [], []
    for seed in _seeds(config):
        run = seed_folder(folder.path, seed)
        try:
            values.append(_train_one(run, {**config, "seed": seed, "seeds": 1}, typed, is_resumed))
        except UserError as error:
            if "steps" not in run.read_record():
                raise  # no seed could begin
            print(f"seed {seed}: {error}", file=sys.stderr)
            failures.append(f"seed {seed}: {error}")
    found = {seed: seed_folder(folder.path, seed) for seed in _seeds(config)}
    entries = figures_over_seeds(found)
    for name, entry in entries.items():
        folder.add_metrics(name, entry)
    print("\n".join([*in_lines(entries), f"seeds     {typeable(folder.path)}"]))
    if failures:
        raise UserError(failures[0])
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _train_one(run: RunFolder, config: dict[str, Any], typed: Sequence[str], is_resumed: bool) -> float | None:
    if is_resumed and run.last.exists():
        if run.read_record().get("status") == "finished" and not typed:
            return None
        return train({**config, "resume": str(run.path)}, run.path, typed)
    if is_resumed and run.path.exists():
        shutil.rmtree(run.path)  # cut off before its first checkpoint
    others = [override for override in typed if not override.startswith("seed=")]
    return train(config, run.path, [*others, f"seed={config['seed']}"])


def _seeds(config: Mapping[str, Any]) -> list[int]:
    return list(range(config["seed"], config["seed"] + config["seeds"]))


def seed_folder(parent: Path, seed: int) -> RunFolder:
    """Where the run of a seed lies."""
    return RunFolder(parent / f"seed_{seed}")


def figures_over_seeds(runs: Mapping[int, RunFolder]) -> dict[str, dict[str, Any]]:
    """Entries as of metrics.json over those runs, by seed, that are finished."""
    finished = {seed: run for seed, run in runs.items() if run.read_record().get("status") == "finished"}
    return entries_over_seeds({seed: run.read_metrics() for seed, run in finished.items()})
