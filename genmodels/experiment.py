"""The composition root: a config becomes data, model, module, trainer and a run folder."""

import contextlib
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from genmodels import plugins, slurm
from genmodels.commands import command, typeable
from genmodels.config.checks import check, check_saved
from genmodels.config.combinations import epoch_errors
from genmodels.config.devices import global_rank, local_processes, started_by_a_launcher
from genmodels.config.resuming import resumed_config
from genmodels.config.targets import raise_all
from genmodels.errors import Requeued, UserError, printable
from genmodels.evaluation.scoring import chosen_metrics, in_words, keep, score
from genmodels.evaluation.setting import Setting
from genmodels.runs.course import beginning, recorded_end, say_what_next
from genmodels.runs.finished_run import load_run
from genmodels.runs.fit import Parts, build_parts, fit, loggers_of
from genmodels.runs.folder import RunFolder
from genmodels.runs.launch import launch
from genmodels.runs.lock import held
from genmodels.runs.model_size import held_to_checkpoint
from genmodels.runs.signals import ending_in_order
from genmodels.runs.start_table import print_start_table, start_table
from genmodels.runs.trial import trial_errors
from genmodels.runs.unfinished import newest_unfinished, requeued_run
from genmodels.training.checkpoint_io import read_checkpoint
from genmodels.training.loggers import log_final
from genmodels.training.run_logger import RunLogger


@dataclass(frozen=True)
class Start:
    """Where a run begins or goes on.

    Attributes:
        folder: of the run.
        config: it trains with, plain containers.
        resume: whether it goes on from the folder's last checkpoint.
        overrides: what the user typed.
    """

    folder: RunFolder
    config: dict[str, Any]
    resume: bool
    overrides: tuple[str, ...]


def train(
    config: dict[str, Any], run_dir: str | Path, overrides: Sequence[str] = (), watching: Sequence[pl.Callback] = ()
) -> float | None:
    """Train, score the test set with the weights that validated best, and leave everything in the run folder.

    With `resume` in the config the run in that folder goes on instead of a new one in `run_dir`.

    Args:
        config: as composed from conf/config.yaml, plain containers.
        run_dir: folder of a new run.
        overrides: what the user typed, kept in run.json and applied to a resumed run's own config.
        watching: callbacks beside the config's, of whoever has started the run; where there are several processes they
            are pickled.

    Returns: the last validation figure, for a sweeper to minimise; None on ranks other than 0 of a launcher's.

    Raises:
        UserError: a mistake in the config, missing data, or training that had to stop.
        Interrupted: a signal ended it, after a checkpoint.
        Pruned: a callback among `watching` has given it up.
    """
    return train_from(start(config, run_dir, overrides), watching)


def start(config: dict[str, Any], run_dir: str | Path, overrides: Sequence[str] = ()) -> Start:
    """The first half of `train`: which run it is to be. Nothing is written.

    In a job that SLURM has started again it is the run that the job has begun, if that has a checkpoint.
    resume=auto is the newest run that stopped before its end and had the same config, or else a new one.

    Raises:
        UserError: `resume` names no run that could go on.
    """
    plugins.allow(config.get("plugins"))
    if config.get("seeds", 1) != 1:
        raise UserError(f"seeds={config['seeds']} is for {command('train')}: this is one run, seed={config['seed']}")
    if config["resume"] is None:
        earlier = requeued_run(config, run_dir)
        if earlier is None:
            return Start(RunFolder(run_dir), config, False, tuple(overrides))
        print(f"the job was started again: goes on with {typeable(earlier.path)}")
        return Start(earlier, config, True, tuple(overrides))
    if config["resume"] == "auto":
        return _start_by_itself({**config, "resume": None}, run_dir, overrides)
    folder = RunFolder.existing(str(config["resume"]), "resume")
    saved = folder.read_config()
    config = resumed_config(saved, overrides) | {"plugins": config.get("plugins")}
    check_saved(config)
    _check_resumable(folder, saved, config)
    return Start(folder, config, True, tuple(overrides))


def train_from(start: Start, watching: Sequence[pl.Callback] = ()) -> float | None:
    """The second half of `train`, which says the rest."""
    is_leader = global_rank() == 0
    if is_leader and not start.resume and slurm.is_started_again():
        start.folder.set_aside()  # where the user has named it: the job's command is the same again
    with held(start.folder.path) if is_leader else contextlib.nullcontext():
        if is_leader and start.resume:
            for path in start.folder.set_damaged_aside():
                print(
                    f"{printable(str(path))} could not be read: kept under this name, and begun anew", file=sys.stderr
                )
        elif is_leader:
            start.folder.require_new()
        try:
            return _train(start, is_leader, watching)
        except Requeued:
            if is_leader:
                slurm.requeue()
            raise


def _train(start: Start, is_leader: bool, watching: Sequence[pl.Callback]) -> float | None:
    folder, config = start.folder, start.config
    parts = try_out(config, folder.last if start.resume else None)
    # What the model has chosen is part of the run: another version may choose otherwise.
    config = {**config, "model": {**config["model"], **parts.module.model.chosen}}
    folder.keep_inside(*folder.written)
    wandb_id = folder.read_record().get("wandb_id") or uuid.uuid4().hex[:8]
    if is_leader:
        loggers_of(config, parts.module, str(folder.path), wandb_id)  # one that is not installed: told before any file
    with recorded_end(folder) if is_leader else ending_in_order():
        if is_leader:
            folder.write_config(config)
            folder.update_record(**beginning(folder, config, start.overrides, wandb_id, parts.module.model))
            print_start_table(start_table(config, parts.module, parts.data, folder.path))
        value = _fit(config, folder, wandb_id, start.resume, parts, watching)
        if is_leader:
            say_what_next(folder)
    return value


def _start_by_itself(config: dict[str, Any], run_dir: str | Path, overrides: Sequence[str]) -> Start:
    if started_by_a_launcher():
        raise UserError("resume=auto is for one process, which decides for all: name the run, resume=<run folder>")
    folder = newest_unfinished(config)
    if folder is None:
        print(f"resume=auto: no unfinished run of this configuration in {config['output_dir']}, so a new one begins")
        return Start(RunFolder(run_dir), config, False, tuple(overrides))
    print(f"resume=auto: goes on with {typeable(folder.path)}")
    read_checkpoint(folder.last)
    return Start(folder, config, True, tuple(overrides))


def _check_resumable(folder: RunFolder, saved: dict[str, Any], config: dict[str, Any]) -> None:
    if not folder.last.exists():
        raise UserError(
            f"resume={folder.path} has no checkpoint to go on from: the run stopped before its first one, "
            "so start it anew"
        )
    checkpoint: Any = read_checkpoint(folder.last)
    steps = checkpoint.get("global_step") if isinstance(checkpoint, dict) else None  # what is wrong shows on loading
    record: dict[str, Any] = {}
    with contextlib.suppress(UserError):  # damaged: set aside once it is clear that the run goes on
        record = folder.read_record()
    limits, before = config["trainer"], saved["trainer"]
    is_changed = any(before.get(key) != limits.get(key) for key in ("max_steps", "max_epochs"))
    done = {"max_steps": steps, "max_epochs": record.get("epochs") or 0}
    has_reached_one = any(
        isinstance(value, int) and 0 < (limits.get(key) or -1) <= value for key, value in done.items()
    )
    if (record.get("status") == "finished" and not is_changed) or (is_changed and has_reached_one):
        raise UserError(
            f"resume={folder.path} has taken {steps} steps, all that it is to take: raise trainer.max_steps or "
            "trainer.max_epochs to train on"
        )


def try_out(config: dict[str, Any], checkpoint: Path | None = None) -> Parts:
    """Check the config, build everything, read the data and try a user's own model: what a run does before it begins.

    Args:
        checkpoint: from which it goes on, if it does.

    Raises:
        UserError: the mistakes that show.
    """
    check(config)
    with contextlib.nullcontext() if checkpoint is None else held_to_checkpoint(checkpoint):
        parts = build_parts(config)
    chosen_metrics(config["evaluation"].get("metrics"), parts.module.model, parts.module.objective)
    if global_rank() == 0:
        parts.data.prepare_data()
        parts.data.setup()
        raise_all(epoch_errors(config["trainer"], len(parts.data.train_dataloader())))
        model = parts.module.model
        if not type(model).__module__.startswith("genmodels."):
            raise_all(trial_errors(model, next(iter(parts.data.val_dataloader()))))
    return parts


def _fit(
    config: dict[str, Any],
    folder: RunFolder,
    wandb_id: str,
    resume: bool,
    parts: Parts,
    watching: Sequence[pl.Callback],
) -> float | None:
    processes = local_processes(config["trainer"])
    if processes == 1 or started_by_a_launcher():
        return fit(config, str(folder.path), wandb_id, resume, parts, score_test, watching)
    return launch(fit, processes, config, str(folder.path), wandb_id, resume, None, score_test, watching)


def score_test(config: dict[str, Any], folder: str, loggers: list[RunLogger]) -> None:
    """Measure the weights that count on the test set: on the screen, in metrics.json and in every logger."""
    files = RunFolder(folder)
    if not (files.best.exists() or files.last.exists()):
        return
    device = "cpu" if config["trainer"].get("accelerator") == "cpu" else "auto"
    run, asked = load_run(folder), {"metrics": None, **config["evaluation"]}
    setting = Setting(run, asked.pop("batch_size"), device)
    figures = score(setting, "test", **asked)
    for name, figure in figures.items():
        print(in_words(name, figure, run))
    keep(setting, figures, asked["max_images"])
    log_final(loggers, {name: figure.mean for name, figure in figures.items()}, run.step)
