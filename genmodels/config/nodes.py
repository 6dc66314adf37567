"""Hold keyword arguments, and the `_target_` nodes among them, against the signature that will take them."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType, UnionType
from typing import Any

from genmodels.config.hints import describe, matches
from genmodels.config.targets import CONTROL_KEYS, is_node, nearest, resolve
from genmodels.errors import UserError

Supplied = Mapping[str, tuple[str, ...]]


def argument_errors(
    target: Callable[..., Any],
    arguments: Mapping[str, Any],
    path: str = "",
    supplied: Supplied = MappingProxyType({}),
    complete: bool = True,
) -> Iterator[str]:
    """Every mistake in the keyword arguments for `target` and in the nodes among them, one sentence each.

    Args:
        target: a function, a class or a dataclass.
        arguments: plain values by name.
        path: where they stand in the config ("model", "callbacks.ema"); "" at its top.
        supplied: by path, the parameters that the composition passes itself: a node may neither miss nor set them.
        complete: whether parameters without a default have to be there.
    """
    parameters, takes_any = _parameters_of(target)
    hints = type_hints(target)
    taken = supplied.get(path, ())
    for key, value in arguments.items():
        if key in taken:
            yield f"{_join(path, key)} is set by the program itself: leave it out"
        elif key in parameters:
            yield from _value_errors(value, hints.get(key, Any), _join(path, key), supplied)
        elif not takes_any:
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


def _value_errors(value: Any, hint: Any, path: str, supplied: Supplied) -> Iterator[str]:
    if is_node(value):
        yield from _node_errors(value, path, supplied)
    elif isinstance(value, Mapping) and (record := _dataclass_among(hint)):
        yield from argument_errors(record, value, path, supplied)
        return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _value_errors(item, Any, f"{path}.{key}", supplied)
    if not matches(value, hint):
        yield f"{path} must be {describe(hint)}, got {_show(value)}"


def _dataclass_among(hint: Any) -> type | None:
    """The dataclass that `hint` is or names among its options (`Published | None`)."""
    options = typing.get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return next((o for o in options if isinstance(o, type) and dataclasses.is_dataclass(o)), None)


def _node_errors(node: Mapping[str, Any], path: str, supplied: Supplied) -> Iterator[str]:
    try:
        target = resolve(str(node["_target_"]), path)
    except UserError as error:
        yield str(error)
        return
    arguments = {key: value for key, value in node.items() if key not in CONTROL_KEYS}
    yield from argument_errors(target, arguments, path, supplied, complete=not node.get("_partial_"))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _show(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str) else str(value)


def _parameters_of(target: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """The keyword parameters by name, and whether any others are taken besides (`**kwargs`)."""
    parameters = inspect.signature(target).parameters.values()
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return named, any(p.kind is p.VAR_KEYWORD for p in parameters)


def type_hints(target: Callable[..., Any]) -> dict[str, Any]:
    """The hints of a target's parameters; empty where they cannot be had."""
    function = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(inspect.unwrap(function))
    except (NameError, TypeError):
        return {}  # another library's forward reference to a name it imports for type checkers only
