"""Hold the plain values of a config (None, bool, int, float, str, list, dict) against Python type hints."""

import collections.abc
import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

_SEQUENCES = (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "text"}


_OBJECT = "a mapping with a _target_"


class Node:
    """As a hint: whatever a mapping with a `_target_` builds."""


def type_hints(target: Callable[..., Any]) -> dict[str, Any]:
    """The hints of a target's parameters, and of what a function returns; empty where they cannot be had."""
    function = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(inspect.unwrap(function))
    except (NameError, TypeError):
        return {}  # another library's forward reference to a name it imports for type checkers only


def element_hint(hint: Any) -> Any:
    """The hint of what a list or mapping with that hint holds; Any where it does not say."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for option in options:
        origin, arguments = get_origin(option), get_args(option)
        if origin in _MAPPINGS and arguments:
            return arguments[1]
        if origin in _SEQUENCES and arguments:
            return arguments[0]
    return Any


def matches(value: object, hint: Any) -> bool:
    """Whether a plain `value` may stand where `hint` is asked for.

    An integer passes for a float, a bool never passes for a number. A mapping with a `_target_` stands for the object
    that it builds, so it passes for every class. A class that no plain value can be (a tensor, a module) matches
    nothing else.
    """
    if hint is Any or isinstance(hint, TypeVar):
        return True
    if hint is None or hint is types.NoneType:
        return value is None
    if isinstance(value, Mapping) and "_target_" in value:
        return hint not in _NAMES and get_origin(hint) is not Literal
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        return any(matches(value, option) for option in arguments)
    if origin is Literal:
        return any(value == option and type(value) is type(option) for option in arguments)
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin in _MAPPINGS:
        return isinstance(value, Mapping) and (not arguments or all(matches(v, arguments[1]) for v in value.values()))
    if origin in _SEQUENCES:
        return isinstance(value, list | tuple) and _elements_match(value, origin, arguments)
    if isinstance(origin, type) and issubclass(origin, PurePath):
        return isinstance(value, str)
    if dataclasses.is_dataclass(origin):
        return isinstance(value, Mapping)
    return isinstance(origin, type) and isinstance(value, origin)


def _elements_match(value: list | tuple, origin: Any, arguments: tuple) -> bool:
    if not arguments:
        return True
    if origin is tuple and arguments[-1] is not Ellipsis:
        return len(value) == len(arguments) and all(map(matches, value, arguments))
    return all(matches(element, arguments[0]) for element in value)


def describe(hint: Any) -> str:
    """What `hint` accepts, in words: "an integer or null", "one of 'uniform', 'variational'"."""
    if hint is None or hint is types.NoneType:
        return "null"
    if hint in _NAMES:
        return _NAMES[hint]
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_descriptions(arguments))
    if origin is Literal:
        return "one of " + ", ".join(str(option) for option in arguments)
    if origin in _MAPPINGS:
        return "a mapping"
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        return f"a list of {len(arguments)} values ({', '.join(map(describe, arguments))})"
    if origin in _SEQUENCES:
        return f"a list (each {describe(arguments[0])})" if arguments else "a list"
    if isinstance(origin, type) and issubclass(origin, PurePath):
        return "a path"
    if dataclasses.is_dataclass(origin):
        return f"a mapping of {', '.join(field.name for field in dataclasses.fields(origin))}"
    made = "" if origin is Node else f" that makes a {getattr(origin, '__name__', origin)}"
    return f"{_OBJECT}{made}"


def _descriptions(options: tuple) -> list[str]:
    """Null last, as one would say it, and objects only where nothing can be typed directly."""
    ordered = sorted(options, key=lambda option: option is types.NoneType)
    words = dict.fromkeys(describe(option) for option in ordered)
    typed = [word for word in words if not word.startswith(_OBJECT)]
    return list(words) if typed in ([], ["null"]) else typed
