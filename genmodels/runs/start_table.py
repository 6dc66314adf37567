"""What a run is about to do, said before its first step."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from genmodels.commands import typeable
from genmodels.config.devices import process_count
from genmodels.data import DataModule
from genmodels.runs.tables import plain_console
from genmodels.training import TrainingModule

_LARGEST = 4  # parts of a model that are named


def print_start_table(rows: Mapping[str, str], console: Console | None = None) -> None:
    """A table in a terminal; elsewhere a line for every row, whatever its length."""
    console = console or plain_console()
    if not console.is_terminal:
        for title, text in rows.items():
            print(f"{title:<9} {text}", file=console.file)
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")  # a path is no use without its end
    for title, text in rows.items():
        table.add_row(title, text)
    console.print(table)


def start_table(config: Mapping[str, Any], module: TrainingModule, data: DataModule, folder: Path) -> dict[str, str]:
    """Title and text of every row: model, data, batch, length of training, optimiser, device and where the run logs.

    Args:
        config: checked, plain containers.
        module: as built from it.
        data: read already.
        folder: of the run.
    """
    rows = {"model": _model(module.model)}
    if chosen := module.model.chosen:
        rows["chosen"] = ", ".join(f"model.{key}={value}" for key, value in chosen.items()) + ", from the data"
    return rows | {
        "data": _data(data),
        "batch": _batch(config["trainer"], data.batch_size),
        "training": _length(config["trainer"], len(data.train_dataloader()) if module.automatic_optimization else None),
        "optimizer": _optimizer(config),
        "device": _device(config["trainer"]),
        "run": _log(config["logger"], folder),
    }


def _model(model: nn.Module) -> str:
    sizes = {name: _size(part) for name, part in model.named_children() if _size(part)}
    largest = sorted(sizes, key=lambda name: -sizes[name])
    named = [f"{name} {sizes[name]:,}" for name in largest[:_LARGEST]]
    if rest := sum(sizes[name] for name in largest[_LARGEST:]):
        named.append(f"the rest {rest:,}")
    parts = f" ({', '.join(named)})" if len(named) > 1 else ""
    return f"{type(model).__name__}, {_size(model):,} parameters{parts}"


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def _data(data: DataModule) -> str:
    shape = "x".join(map(str, data.shape))
    what = f"vectors of {shape}" if data.levels is None else f"images {shape} of {data.levels} levels"
    loaders = {"train": data.train_dataloader, "validation": data.val_dataloader, "test": data.test_dataloader}
    counts = " + ".join(f"{len(loader().examples):,} {part}" for part, loader in loaders.items())
    return f"{data.name}, {what}, {counts}"


def _batch(trainer: Mapping[str, Any], batch_size: int) -> str:
    accumulated = trainer.get("accumulate_grad_batches") or 1
    return f"{batch_size}" if accumulated == 1 else f"{batch_size * accumulated} = {accumulated} x {batch_size}"


def _length(trainer: Mapping[str, Any], batches: int | None) -> str:
    """Of `batches` an epoch; None: how many of them make a step is for the module to know."""
    if batches is None:
        limits = {"steps": trainer.get("max_steps", -1), "epochs": trainer.get("max_epochs") or -1}
        told = [f"{limit:,} {unit}" for unit, limit in limits.items() if limit != -1]
        return " or ".join(told) or "without end"
    limit = trainer.get("limit_train_batches")
    if limit is not None:
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    an_epoch = math.ceil(batches / (trainer.get("accumulate_grad_batches") or 1))
    max_steps, max_epochs = trainer.get("max_steps", -1), trainer.get("max_epochs")
    if max_epochs is None:
        max_epochs = 1000 if max_steps == -1 else -1  # what Lightning makes of it
    if max_steps == max_epochs == -1:
        return f"without end, {an_epoch:,} steps an epoch"
    steps = max_epochs * an_epoch
    if max_steps == -1 or 0 <= steps <= max_steps:
        return f"{steps:,} steps, {max_epochs:,} epochs of {an_epoch:,}"
    return f"{max_steps:,} steps, {an_epoch:,} an epoch"


def _optimizer(config: Mapping[str, Any]) -> str:
    named = [_learner(node, f"{name}: ") for name, node in (config.get("optimizers") or {}).items()]
    schedule = [_name(config["scheduler"])] if config["scheduler"] else []
    return ", ".join([_learner(config["optimizer"]), *named, *schedule])


def _learner(node: Mapping[str, Any], title: str = "") -> str:
    return title + _name(node) + (f" lr={node['lr']}" if "lr" in node else "")


def _name(node: Mapping[str, Any]) -> str:
    return str(node["_target_"]).rpartition(".")[2]


def _device(trainer: Mapping[str, Any]) -> str:
    on_gpu = trainer.get("accelerator") in ("gpu", "cuda", "auto") and torch.cuda.is_available()
    name = torch.cuda.get_device_name() if on_gpu else "CPU"
    processes = process_count(trainer)
    return f"{name if processes == 1 else f'{processes} processes, each on {name}'}, precision {trainer['precision']}"


def _log(logger: Mapping[str, Any], folder: Path) -> str:
    mode = logger.get("mode")
    wandb = [] if mode == "disabled" else ["wandb" if mode is None else f"wandb {mode}"]
    return ", ".join([typeable(folder), *wandb, *(["tensorboard"] if logger.get("tensorboard") else [])])
