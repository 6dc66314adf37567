"""`_target_` nodes: how a name is looked up, and how a node becomes an object.

A config may come from a checkpoint or from a stranger's run folder, so it is data and not code: only what `places`
offers where a node stands, or a package that the user has let in, is ever called.
"""

import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lightning_fabric.utilities.exceptions import MisconfigurationException

from genmodels import plugins
from genmodels.config.hints import element_hint, type_hints
from genmodels.config.places import Buildable, Place, nested_place, place_at
from genmodels.errors import UserError, nearest

CONTROL_KEYS = ("_target_", "_partial_")
_SHOWN = 100  # characters of a target that a message quotes


def is_node(value: object) -> bool:
    """Whether a config value stands for an object to build."""
    return isinstance(value, Mapping) and "_target_" in value


def resolve(target: object, place: Place, key: str) -> Buildable:
    """The class or function behind a name, such as that of a `_target_`.

    A name of ours is looked up by its last part in its room's face, so that runs of before a file moved still load.

    Args:
        target: dotted name.
        place: what may stand there.
        key: what names it, for messages: "model._target_".

    Raises:
        UserError: nothing of that name may stand there.
    """
    name = " ".join(str(target).split())[:_SHOWN]
    named = f"{key}={name}"
    face = ".".join(name.split(".")[:2])
    if face in place.faces and "." in name[len(face) :]:
        return _of_face(name, face, place, named)
    found = place.other(name)
    if found is not None:
        return found
    if not plugins.is_allowed(name):
        raise UserError(f"{named} is not allowed{plugins.way_in(name) or _allowed(place)}")
    found = plugins.find(name, key)
    if inspect.isclass(found) and len(place.kinds) == 1:
        plugins.fitting(found, place.kinds[0], named)
    if not place.takes(found):
        raise UserError(f"{named} does not make a {_kinds(place)}")
    return found


def _of_face(name: str, face: str, place: Place, named: str) -> Buildable:
    offered, last = place.offered(face), name.rpartition(".")[2]
    if last in offered:
        return offered[last]
    close = nearest(last, offered)
    way = f": did you mean {face}.{close}?" if close else _allowed(place)
    raise UserError(f"{named} is not allowed{way}")


def _allowed(place: Place) -> str:
    names = [f"{face}.{name}" for face in place.faces for name in place.offered(face)] + list(place.others)
    return f": only a {_kinds(place)} is built there, such as {names[0]}" if names else ""


def _kinds(place: Place) -> str:
    return " or ".join(plugins.public_name(kind) for kind in place.kinds)


def place_of(path: str) -> Place:
    """What may stand at a key of the whole config.

    Raises:
        UserError: no object belongs there.
    """
    place = place_at(path)
    if place is None:
        raise UserError(f"{path} takes no _target_: no object is built there")
    return place


def nested(outer: Place, hint: Any, path: str) -> Place:
    """What may stand as an argument with that type hint of a node at `outer`.

    Raises:
        UserError: no object belongs there.
    """
    place = nested_place(outer, hint)
    if place is None:
        raise UserError(f"{path} takes no _target_: no object is built there")
    return place


def control_errors(node: Mapping[str, Any], place: Place, path: str) -> Iterator[str]:
    """A sentence for every key of a node that would change how it is built, where its place says how."""
    for key in node:
        if str(key).startswith("_") and key not in CONTROL_KEYS:
            yield f"{path}.{key} is not allowed: a node takes _target_ and the arguments of what it names"
    if node.get("_partial_", place.is_partial) is not place.is_partial:
        yield f"{path}._partial_ is not to be changed: leave it out"


def build(node: Mapping[str, Any], path: str, place: Place | None = None, **extra: Any) -> Any:
    """Build the object of a checked node, its nested nodes first.

    Args:
        node: plain mapping with `_target_` and the target's keyword arguments.
        path: where in the config it stands.
        place: what may stand there; by default what `path` says.
        extra: further keyword arguments, which the config cannot hold.

    Returns: the object; where more arguments are to come (optimisers, schedulers) a function of these.

    Raises:
        UserError: the target is not allowed, refuses a value, or does not keep the contract of models.
    """
    place = place or place_of(path)
    target = resolve(node["_target_"], place, f"{path}._target_")
    raise_all(control_errors(node, place, path))
    hints = type_hints(target)
    arguments = {
        key: _built(value, hints.get(key, Any), place, f"{path}.{key}")
        for key, value in node.items()
        if key not in CONTROL_KEYS
    }
    if place.is_partial:
        return functools.partial(_call, target, place, path, **arguments, **extra)
    return _call(target, place, path, **arguments, **extra)


def build_all(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The objects of checked nodes by path, built in their order.

    Raises:
        UserError: what any of them refuses, a sentence each.
    """
    built: dict[str, Any] = {}
    errors: list[str] = []
    for path, node in nodes.items():
        try:
            built[path] = build(node, path)
        except UserError as error:
            errors.append(str(error))
    raise_all(errors)
    return built


def raise_all(errors: Iterable[str]) -> None:
    """Raise one UserError that tells all the sentences, each once; none, and nothing happens."""
    found = list(dict.fromkeys(errors))
    if found:
        raise UserError("\n".join(found))


def _call(target: Buildable, place: Place, path: str, /, *arguments: Any, **named: Any) -> Any:
    try:
        built = target(*arguments, **named)
    except UserError:
        raise
    except (ValueError, MisconfigurationException) as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from error
    except Exception as error:
        if not plugins.is_users(target):
            raise
        raise UserError(f"{path}: {plugins.public_name(target)} fails: {plugins.in_one_line(error)}") from error
    if not place.fits(built):
        raise UserError(f"{path}._target_ has made a {type(built).__name__}, and a {_kinds(place)} belongs there")
    _hold_to_contract(built)
    return built


def _hold_to_contract(built: object) -> None:
    from genmodels.models.capabilities import contract_errors
    from genmodels.models.model import Model  # takes a second to load

    if isinstance(built, Model):
        raise_all(contract_errors(built))


def _built(value: Any, hint: Any, outer: Place, path: str) -> Any:
    if is_node(value):
        return build(value, path, nested(outer, hint, path))
    if isinstance(value, Mapping):
        return {key: _built(item, element_hint(hint), outer, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_built(item, element_hint(hint), outer, f"{path}[{index}]") for index, item in enumerate(value)]
    return value
