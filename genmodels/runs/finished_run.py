"""Load what a run has left behind: its model with the weights that count."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open
from torch import Tensor

from genmodels.config.checks import check_saved
from genmodels.config.targets import build
from genmodels.errors import UserError
from genmodels.models.model import Model
from genmodels.runs.folder import RunFolder
from genmodels.runs.model_size import held_to_checkpoint
from genmodels.training.checkpoint_io import read_checkpoint

_PREFIX = "model."  # where the Lightning module keeps the model


@dataclass(frozen=True)
class Run:
    """A run's model, ready to use, and where its weights come from.

    Attributes:
        folder: the run's files.
        config: the run's config, plain containers.
        model: in evaluation mode, on the CPU.
        weights: "ema" if the run kept an exponential moving average, which is then what `model` holds.
        checkpoint: file the weights are from.
        step: steps of training they had taken.
    """

    folder: RunFolder
    config: dict[str, Any]
    model: Model
    weights: Literal["raw", "ema"]
    checkpoint: Path
    step: int


def load_run(path: str | Path, which: Literal["best", "last"] = "best", key: str = "run") -> Run:
    """The model of a run with its best weights by validation, or its last ones.

    "best" falls back on the last ones where the run has not validated yet. Config and checkpoint are taken as data:
    nothing outside the allowed targets is built, and no pickled code is run.

    Args:
        path: run folder.
        which: "best" or "last".
        key: what the user called the folder, for messages.

    Raises:
        UserError: the folder, its config or its checkpoint is missing, damaged or does not fit together.
    """
    folder = RunFolder.existing(path, key)
    config = folder.read_config()
    check_saved(config)
    if folder.exported.exists():
        return _exported(folder, config)
    file = folder.best if which == "best" and folder.best.exists() else folder.last
    if not file.exists():
        raise UserError(f"{key}={path} has no checkpoint yet: {file} does not exist")
    checkpoint = read_checkpoint(file)
    average = _average(checkpoint, file)
    raw = {name.removeprefix(_PREFIX): v for name, v in _raw(checkpoint, file).items() if name.startswith(_PREFIX)}
    model = _filled(config, {**raw, **average}, file, folder)
    return Run(folder, config, model, "ema" if average else "raw", file, checkpoint["global_step"])


def load(path: str | Path) -> Model:
    """The model of an exported folder, or of a run, in evaluation mode on the CPU; nothing but data is taken from it.

    Raises:
        UserError: as `load_run`.
    """
    return load_run(path, key="folder").model


def _exported(folder: RunFolder, config: dict[str, Any]) -> Run:
    """Of a folder that `export` has written."""
    file = folder.exported
    try:
        with safe_open(file, "pt") as opened:
            said = opened.metadata() or {}
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # it is no dict
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file} cannot be read: {error}") from error
    step, which = said.get("step", ""), said.get("weights", "")
    if not step.isdecimal() or which not in ("raw", "ema"):
        raise UserError(f"{file} was not written by export.py: it does not say of which step its weights are")
    model = _filled(config, weights, file, folder)
    return Run(folder, config, model, "ema" if which == "ema" else "raw", file, int(step))


def _filled(config: dict[str, Any], weights: dict[str, Tensor], file: Path, folder: RunFolder) -> Model:
    with held_to_checkpoint(file):
        model: Model = build(config["model"], "model")
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = _first_reason(error)
        raise UserError(f"{file} does not fit the model of {folder.path}/config.yaml: {reason}") from error
    return model.eval()


def _raw(checkpoint: Any, file: Path) -> dict[str, Tensor]:
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("global_step"), int):
        raise _no_run(file)
    return _tensors(checkpoint.get("state_dict"), file)


def _average(checkpoint: Any, file: Path) -> dict[str, Tensor]:
    """The EMA callback's weights by the model's own names, empty if there are none. Buffers are not among them."""
    states = checkpoint.get("callbacks", {}) if isinstance(checkpoint, dict) else None
    if not isinstance(states, dict):
        raise _no_run(file)
    for state in states.values():
        if isinstance(state, dict) and state.get("average"):
            return _tensors(state["average"], file)
    return {}


def _tensors(found: Any, file: Path) -> dict[str, Tensor]:
    if isinstance(found, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in found.items()):
        return found
    raise _no_run(file)


def _no_run(file: Path) -> UserError:
    return UserError(f"{file} is not the checkpoint of a run: weights, steps or averages are not as one keeps them")


def _first_reason(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return lines[1] if len(lines) > 1 else lines[0]
