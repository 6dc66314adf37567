"""One process's part of a training run: everything built from the config, and Lightning let loose on it."""

import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import ModuleType
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint, RichModelSummary
from pytorch_lightning.plugins.environments import TorchElasticEnvironment
from pytorch_lightning.trainer.connectors import checkpoint_connector
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from genmodels import plugins
from genmodels.config.combinations import fit_errors
from genmodels.config.devices import process_count
from genmodels.config.places import Place
from genmodels.config.targets import build, build_all, raise_all, resolve
from genmodels.data import DataModule
from genmodels.errors import UserError
from genmodels.objectives import Objective
from genmodels.runs.folder import RunFolder
from genmodels.runs.record_callback import RunRecord
from genmodels.training.checkpoint_io import AtomicCheckpointIO
from genmodels.training.compiling import compile_errors, compile_parts
from genmodels.training.loggers import close_loggers
from genmodels.training.modules.training_module import StepRules, TrainingModule
from genmodels.training.quiet import quieten
from genmodels.training.run_logger import RunLogger

STEP_RULES = tuple(field.name for field in fields(StepRules))


@dataclass(frozen=True)
class Parts:
    """What a run is made of, before there is a trainer."""

    module: TrainingModule
    data: DataModule
    callbacks: list[pl.Callback]


def build_parts(config: dict[str, Any]) -> Parts:
    """Module, data and callbacks of a checked config, the initial weights a function of the seed.

    Raises:
        UserError: values that do not fit together.
    """
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    optimizers = {f"optimizers.{name}": node for name, node in config.get("optimizers", {}).items()}
    callbacks = {f"callbacks.{name}": node for name, node in (config["callbacks"] or {}).items()}
    nodes = {key: config[key] for key in ("objective", "model", "optimizer", "scheduler", "data")}
    built = build_all({path: node for path, node in {**nodes, **optimizers, **callbacks}.items() if node})
    objective = built["objective"]
    module = module_class(objective)(
        built["model"],
        objective,
        built["optimizer"],
        {path.partition(".")[2]: built[path] for path in optimizers},
        built.get("scheduler"),
        StepRules(**{key: config["trainer"][key] for key in STEP_RULES if key in config["trainer"]}),
        config["seed"],
    )
    try:
        module.configure_optimizers()  # torch checks the ranges of its arguments only now
    except ValueError as error:
        raise UserError(f"optimizer or scheduler: {error}") from error
    raise_all(fit_errors(module.model, built["data"]))
    if config["compile"]:
        raise_all(compile_errors(module.model))
    return Parts(module, built["data"], [built[path] for path in callbacks if path in built])


def module_class(objective: Objective) -> type[TrainingModule]:
    """The Lightning module that the objective names.

    Raises:
        UserError: there is none of that name.
    """
    place = Place((TrainingModule,), ("genmodels.training",))
    return cast(type[TrainingModule], resolve(objective.module, place, f"{type(objective).__name__}.module"))


def fit(
    config: dict[str, Any],
    folder: str,
    wandb_id: str,
    resume: bool,
    parts: Parts | None = None,
    conclude: Callable[[dict[str, Any], str, list[RunLogger]], None] | None = None,
) -> float | None:
    """Train in this process, which is the only one or one of several that a launcher has started.

    Args:
        config: checked, plain containers.
        folder: of the run; checkpoints, metrics and pictures appear in it.
        wandb_id: under which Weights & Biases knows the run.
        resume: go on from checkpoints/last.ckpt instead of the beginning.
        parts: those of `config`, where they are built already.
        conclude: called on rank 0 with config, folder and loggers when training is over, before the loggers close.

    Returns: the last validation figure, None if there was none.

    Raises:
        UserError: something only the built objects could tell, or training had to stop.
        Interrupted: a signal ended it, after a checkpoint.
    """
    quieten()
    plugins.allow(config.get("plugins"))  # in a process of its own, too
    files = RunFolder(folder)
    parts = parts or build_parts(config)
    module, data = parts.module, parts.data
    if config["compile"]:
        compile_parts(module.model)  # Lightning's logging cannot be compiled, so not the module
    callbacks = [*parts.callbacks, RunRecord(files, data.batch_size)]
    if config["trainer"].get("enable_model_summary"):
        callbacks.append(RichModelSummary(max_depth=3))  # Lightning's own stops at the module's one part, the model
    loggers = loggers_of(config, module, folder, wandb_id)
    try:
        trainer = _build_trainer(config, module, files, callbacks, loggers)
        trainer.fit(module, datamodule=data, ckpt_path=str(files.last) if resume else None, weights_only=True)
        if conclude is not None and trainer.is_global_zero:
            conclude(config, folder, loggers)
    except MisconfigurationException as error:
        raise UserError(f"trainer: {_one_line(error)}") from error
    except (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        if _comes_from(error, checkpoint_connector):
            raise UserError(f"{files.last} does not fit the run, so it cannot go on: {_reason(error)}") from error
        if isinstance(error, RuntimeError | ValueError) and _is_lightnings(error):
            raise UserError(f"trainer: {_one_line(error)}") from error
        raise
    finally:
        close_loggers(loggers)
    if config["trainer"].get("profiler") and trainer.is_global_zero:
        print(trainer.profiler.summary())  # type: ignore[attr-defined]
    if module.selection is None:
        return None
    value = trainer.callback_metrics.get(f"val/{module.selection.name}")
    return None if value is None else float(value)


def loggers_of(config: dict[str, Any], module: TrainingModule, folder: str, wandb_id: str) -> list[RunLogger]:
    """The loggers of a run; they begin, and write, with the first row.

    Raises:
        UserError: one of them is not installed.
    """
    supplied: dict[str, Any] = {"folder": folder, "wandb_id": wandb_id, "config": config, "selection": module.selection}
    return build(config["logger"], "logger", **supplied)


def _build_trainer(
    config: dict[str, Any],
    module: TrainingModule,
    files: RunFolder,
    callbacks: list[pl.Callback],
    loggers: list[RunLogger],
) -> pl.Trainer:
    node = {key: value for key, value in config["trainer"].items() if key not in STEP_RULES}
    if module.automatic_optimization:
        node["accumulate_grad_batches"] = module.rules.accumulate_grad_batches
    else:
        node["strategy"] = strategy_by_hand(node)
    # Lightning would otherwise put checkpoints of its own beside, or in place of, the configured ones.
    node["enable_checkpointing"] = any(isinstance(c, Checkpoint) for c in callbacks)
    try:
        return build(
            node,
            "trainer",
            callbacks=callbacks,
            logger=loggers,
            default_root_dir=str(files.path),
            use_distributed_sampler=False,
            plugins=[AtomicCheckpointIO(), *_environment()],
        )
    except (
        RuntimeError,
        ImportError,
    ) as error:  # what this machine cannot serve: SLURM settings, a TPU
        raise UserError(f"trainer: {_one_line(error)}") from error


def strategy_by_hand(trainer: Mapping[str, Any]) -> Any:
    """The strategy for modules that optimise by hand: where it would be plain ddp, one that bears missing gradients.

    A step of one part leaves the parameters of the others without, and plain ddp would wait for them.
    """
    strategy = trainer.get("strategy", "auto")
    is_plain = strategy == "ddp" or (strategy == "auto" and process_count(trainer) > 1)
    return "ddp_find_unused_parameters_true" if is_plain else strategy


def _comes_from(error: Exception, module: ModuleType) -> bool:
    """Whether a function of `module` was at work."""
    return any(frame.f_globals is vars(module) for frame, _ in traceback.walk_tb(error.__traceback__))


def _is_lightnings(error: Exception) -> bool:
    """Whether Lightning itself has raised it: over what it knows only in a fit, such as the number of batches."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals["__name__"].startswith("pytorch_lightning.")


def _reason(error: Exception) -> str:
    """Its type and, of the lines of its message, those that count."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _environment() -> list[TorchElasticEnvironment]:
    """Named where it is ours: Lightning would otherwise look for SLURM first and wait for tasks that nobody starts."""
    return [TorchElasticEnvironment()] if "TORCHELASTIC_RUN_ID" in os.environ else []
