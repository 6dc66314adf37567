"""Hold keyword arguments, and the `_target_` nodes among them, against the signature that will take them."""

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import UnionType
from typing import Any, get_args

from genmodels.config.hints import describe, element_hint, matches, type_hints
from genmodels.config.places import Place
from genmodels.config.targets import control_errors, is_node, nested, place_of, resolve
from genmodels.errors import UserError, nearest

_SHOWN = 200  # characters of a value that a message quotes


def argument_errors(
    target: Callable[..., Any],
    arguments: Mapping[str, Any],
    path: str = "",
    place: Place | None = None,
    complete: bool = True,
) -> Iterator[str]:
    """Every mistake in the keyword arguments for `target` and in the nodes among them, one sentence each.

    Args:
        target: a function, a class or a dataclass.
        arguments: plain values by name.
        path: where they stand in the config ("model", "callbacks.ema"); "" at its top.
        place: of the node whose arguments they are; None at the config's top.
        complete: whether parameters without a default have to be there.
    """
    parameters, takes_any = _parameters_of(target)
    hints = type_hints(target)
    taken = place.supplied if place else ()
    for key, value in arguments.items():
        if key in taken:
            yield f"{_join(path, key)} is set by the program itself: leave it out"
        elif key in parameters or (takes_any and not str(key).startswith("_")):
            yield from _value_errors(value, hints.get(key, Any), _join(path, key), place)
        else:
            yield unknown_key(path, str(key), set(parameters) - set(taken))
    if complete:
        for name, parameter in parameters.items():
            if parameter.default is inspect.Parameter.empty and name not in arguments and name not in taken:
                yield f"{_join(path, name)} is missing: {target.__name__} needs it"


def unknown_key(path: str, key: str, known: set[str]) -> str:
    """The sentence for a key that nothing takes: the nearest one, or else all of them."""
    close = nearest(key, known)
    if close:
        return f"unknown key {_join(path, key)}: did you mean {_join(path, close)}?"
    return f"unknown key {_join(path, key)}: {path or 'the config'} takes {', '.join(sorted(known)) or 'no keys'}"


def _value_errors(value: Any, hint: Any, path: str, place: Place | None) -> Iterator[str]:
    if isinstance(value, Mapping) and not is_node(value) and (record := _dataclass_among(hint)):
        yield from argument_errors(record, value, path)
        return
    yield from _object_errors(value, hint, path, place)
    if isinstance(value, Mapping) and not is_node(value) and matches({}, hint):
        for key, item in value.items():
            if not matches(item, element_hint(hint)):
                yield f"{path}.{key} must be {describe(element_hint(hint))}, got {_show(item)}"
    elif not is_node(value) and not matches(value, hint):
        way = f": write {path}=[{value}]" if isinstance(value, str | int) and matches([value], hint) else ""
        yield f"{path} must be {describe(hint)}, got {_show(value)}{way}"


def _dataclass_among(hint: Any) -> type | None:
    """The dataclass that `hint` is or names among its options (`Published | None`)."""
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return next((o for o in options if isinstance(o, type) and dataclasses.is_dataclass(o)), None)


def _object_errors(value: Any, hint: Any, path: str, place: Place | None) -> Iterator[str]:
    """What is wrong with the nodes in a value, however deep."""
    if is_node(value):
        yield from _node_errors(value, hint, path, place)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _object_errors(item, element_hint(hint), f"{path}.{key}", place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _object_errors(item, element_hint(hint), f"{path}[{index}]", place)


def _node_errors(node: Mapping[str, Any], hint: Any, path: str, outer: Place | None) -> Iterator[str]:
    try:
        place = nested(outer, hint, path) if outer else place_of(path)
        target = resolve(node["_target_"], place, f"{path}._target_")
    except UserError as error:
        yield str(error)
        return
    yield from control_errors(node, place, path)
    arguments = {key: value for key, value in node.items() if not str(key).startswith("_")}
    yield from argument_errors(target, arguments, path, place)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _show(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."


def _parameters_of(target: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """The keyword parameters by name, and whether any others are taken besides (`**kwargs`)."""
    parameters = inspect.signature(target).parameters.values()
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return named, any(p.kind is p.VAR_KEYWORD for p in parameters)
