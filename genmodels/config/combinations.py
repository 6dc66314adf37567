"""Mistakes that lie in two choices together, each of which is right on its own."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from genmodels.config.devices import process_count, started_by_a_launcher
from genmodels.config.targets import is_node, place_of, resolve
from genmodels.distributions.energies import ENERGIES
from genmodels.errors import UserError
from genmodels.precisions import precision_error

if TYPE_CHECKING:
    from genmodels.data import DataModule
    from genmodels.models import Model

_FITTING = {"images": ("glow_small", "digits"), "vectors": ("maf", "toy2d")}  # by kind, a model and data of it


def kind_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """A sentence if the data holds vectors and the model's class takes images only, or the other way round."""
    data, model = config.get("data"), config.get("model")
    if not isinstance(data, Mapping) or not is_node(data) or not isinstance(model, Mapping) or not is_node(model):
        return
    try:
        built = resolve(model["_target_"], place_of("model"), "model._target_")
    except UserError:
        return  # told elsewhere
    takes = getattr(built, "takes", _FITTING)
    kind = "vectors" if data.get("levels", 0) is None else "images"
    if isinstance(takes, str) or not set(takes) or not set(takes) <= set(_FITTING):
        yield f"{built.__name__}.takes must be a frozenset of {' and '.join(map(repr, _FITTING))}, got {takes!r}"
    elif kind not in takes:
        other = next(iter(takes))
        yield (
            f"{built.__name__} is a model of {other}, and {data.get('name')} holds {kind} of shape "
            f"{data.get('shape')}: choose a model of {kind}, such as model={_FITTING[kind][0]}, "
            f"or data of {other}, such as data={_FITTING[other][1]}"
        )


def fit_errors(model: "Model", data: "DataModule") -> Iterator[str]:
    """A sentence for what a built model says of its data and the data says otherwise."""
    for key in ("shape", "levels"):
        says, has = getattr(model, key), getattr(data, key)
        if says != has:
            name = type(model).__name__
            yield f"{name}.{key} is {says}, and data.{key} is {has}: the model has to set it to the data's"


def combination_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for every pair of choices that cannot go together, in a config whose parts are right.

    What only the built model can tell (sides it cannot halve, objective without a density) it tells itself, by
    UserError from its constructor.
    """
    try:
        processes = process_count(config["trainer"])
    except UserError as error:
        yield str(error)
        return
    if refusal := precision_error(config["trainer"].get("precision")):
        yield refusal
    if config["trainer"].get("enable_checkpointing") is False:
        yield "trainer.enable_checkpointing=false does nothing here: callbacks.checkpoints=null keeps no checkpoints"
    nodes = config["trainer"].get("num_nodes") or 1
    if nodes > 1 and not started_by_a_launcher():
        yield f"trainer.num_nodes={nodes} needs a launcher that starts the program on each node: torchrun or srun"
    batch = config["data"].get("batch_size")
    if isinstance(batch, int) and batch % processes:
        fitting = max(batch // processes, 1) * processes
        yield (
            f"data.batch_size={batch} cannot be shared evenly by {processes} processes: "
            f"take a multiple of {processes}, such as {fitting}"
        )
    if "levels" in config["data"]:
        yield from _level_errors(config["model"], config["data"]["levels"])
    name, objective = config["data"].get("name"), config["objective"]["_target_"]
    if name in ENERGIES and objective.startswith("genmodels.") and not objective.endswith(".ReverseKL"):
        yield f"data.name={name} is a density to be fitted, not a set of examples: choose objective=reverse_kl"


def _level_errors(model: Mapping[str, Any], levels: int | None) -> Iterator[str]:
    """A sentence for each part of a model that counts other levels of a pixel than the data has."""
    for name, part in model.items():
        if is_node(part) and part["_target_"].startswith("genmodels.") and part.get("levels", levels) != levels:
            yield f"model.{name}.levels is {part['levels']}, and data.levels is {levels}: leave model.{name}.levels out"


def epoch_errors(trainer: Mapping[str, Any], batches: int) -> Iterator[str]:
    """A sentence for each setting of the trainer that asks more of an epoch than its so many batches."""
    limit = trainer.get("limit_train_batches")
    if limit is not None:
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    window, every = trainer.get("accumulate_grad_batches") or 1, trainer.get("val_check_interval")
    if window > batches:
        yield (
            f"trainer.accumulate_grad_batches={window} is more than the {batches} batches of an epoch, whose end is "
            "the end of a step: make it or data.batch_size smaller"
        )
    if isinstance(every, int) and every > batches and trainer.get("check_val_every_n_epoch") is not None:
        yield (
            f"trainer.val_check_interval={every} is more than the {batches} batches of an epoch: make it smaller, or "
            "set trainer.check_val_every_n_epoch=null to count batches across epochs"
        )
