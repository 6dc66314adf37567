"""For every place in a config the closed set of classes and functions that may stand there.

A config may be a stranger's: the name in a `_target_` chooses from what a room's face offers and fits the place, and
nothing else is looked up, imported or called.
"""

import functools
import importlib
import inspect
import pkgutil
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin

from torch import nn

from genmodels.config.hints import type_hints

Buildable = Callable[..., Any]


@dataclass(frozen=True)
class Place:
    """What may stand somewhere in a config.

    Attributes:
        kinds: what the built object is an instance of: one of these classes.
        faces: the rooms that offer it.
        others: further classes by full name: of other libraries, each known to do nothing but its task.
        is_partial: the object is built later, with arguments that the config cannot hold.
        is_list: a list of such objects is built.
        holds_objects: whether the node's arguments may be nodes in turn.
        supplied: arguments that the program gives, or has to decide: the config may neither miss nor set them.
    """

    kinds: tuple[type, ...]
    faces: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    is_partial: bool = False
    is_list: bool = False
    holds_objects: bool = False
    supplied: tuple[str, ...] = ()

    def takes(self, thing: object) -> bool:
        """Whether a class, or a function by its return hint, makes what belongs here."""
        if inspect.isclass(thing):
            return not self.is_list and issubclass(thing, self.kinds) and not inspect.isabstract(thing)
        if not inspect.isfunction(thing):
            return False
        made = type_hints(thing).get("return")
        if self.is_list:
            made = get_args(made)[0] if get_origin(made) is list else None
        return inspect.isclass(made) and issubclass(made, self.kinds)

    def fits(self, built: object) -> bool:
        """Whether a built object belongs here."""
        if isinstance(built, list) != self.is_list:
            return False
        return all(isinstance(item, self.kinds) for item in (built if isinstance(built, list) else [built]))

    def offered(self, face: str) -> dict[str, Buildable]:
        """By name, what the room offers for this place."""
        room = vars(importlib.import_module(face))
        return {
            name: thing
            for name, thing in room.items()
            if self.takes(thing) and f"{thing.__module__}.".startswith("genmodels.")
        }

    def other(self, target: str) -> Buildable | None:
        """The class of another library, if it is one of `others`."""
        return pkgutil.resolve_name(target) if target in self.others else None


def place_at(path: str) -> Place | None:
    """The place of a node in the whole config, by its key ("model", "callbacks.ema"); None: no object belongs there."""
    room, _, name = path.partition(".")
    if room in ("callbacks", "optimizers"):
        return _places()[room] if name and "." not in name else None
    return None if name else _places().get(room)


def nested_place(outer: Place, hint: Any) -> Place | None:
    """The place of an argument with that type hint; None: no object belongs there."""
    kinds = tuple(_classes(hint)) if outer.holds_objects else ()
    return Place(kinds, _NESTED, holds_objects=True) if kinds else None


_NESTED = tuple(f"genmodels.{room}" for room in ("distributions", "bijections", "networks", "models", "objectives"))


@functools.cache
def _places() -> Mapping[str, Place]:
    # Here and not at the top: the rooms take a second to load, and a program that only shows its help needs none.
    import pytorch_lightning as pl
    from pytorch_lightning.loggers import Logger
    from torch import optim
    from torch.optim.lr_scheduler import LRScheduler

    from genmodels.data import DataModule
    from genmodels.models import Model
    from genmodels.objectives import Objective

    training = ("genmodels.training",)
    torchs = ("Adam", "AdamW", "Adamax", "SGD", "RMSprop", "Adagrad", "NAdam", "RAdam")
    optimizer = Place(
        (optim.Optimizer,),
        training,
        tuple(f"torch.optim.{name}" for name in torchs),
        is_partial=True,
        supplied=("params", "maximize"),
    )
    return {
        "model": Place((Model,), ("genmodels.models",), holds_objects=True),
        "objective": Place((Objective,), ("genmodels.objectives",), holds_objects=True),
        "optimizer": optimizer,
        "optimizers": optimizer,
        "scheduler": Place((LRScheduler,), training, is_partial=True, supplied=("optimizer",)),
        "data": Place((DataModule,), ("genmodels.data",)),
        "trainer": Place(
            (pl.Trainer,),
            others=("pytorch_lightning.Trainer",),
            supplied=(
                "callbacks",
                "logger",
                "default_root_dir",
                "use_distributed_sampler",
                "plugins",
                "model_registry",  # from which Lightning would load
            ),
        ),
        "logger": Place((Logger,), training, is_list=True, supplied=("folder", "wandb_id", "config", "selection")),
        "callbacks": Place(
            (pl.Callback,),
            training,
            # LearningRateMonitor logs what ours log already; the others write files, or change what a run learns.
            tuple(f"pytorch_lightning.callbacks.{name}" for name in ("EarlyStopping", "Timer")),
            holds_objects=True,
        ),
    }


def _classes(hint: Any) -> Iterator[type]:
    """The classes that a hint names; a protocol, which nothing derives from, stands for any module."""
    if get_origin(hint) in (Union, types.UnionType):
        for option in get_args(hint):
            yield from _classes(option)
    elif get_origin(hint) is None and inspect.isclass(hint) and hint not in (object, Any, types.NoneType):
        yield nn.Module if getattr(hint, "_is_protocol", False) else hint
