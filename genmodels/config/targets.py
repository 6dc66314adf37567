"""`_target_` nodes: which may be built, how a name is looked up, how a node becomes an object.

A config may come from a checkpoint or from a stranger's run folder, so it is data and not code: only names below the
prefixes in `ALLOWED` are ever imported or called.
"""

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from genmodels.errors import UserError

ALLOWED = ("genmodels.", "torch.optim.", "pytorch_lightning.")
CONTROL_KEYS = ("_target_", "_partial_")


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` was most likely meant to be, or None when nothing is close."""
    found = difflib.get_close_matches(word, [str(candidate) for candidate in candidates], n=1, cutoff=0.6)
    return found[0] if found else None


def resolve(target: str, path: str) -> Callable[..., Any]:
    """The class or function behind a `_target_`.

    Args:
        target: dotted name below one of the `ALLOWED` prefixes.
        path: where in the config it stands, for the message.

    Raises:
        UserError: the name is not allowed or does not exist.
    """
    if not target.startswith(ALLOWED):
        raise UserError(
            f"{path}._target_={target} is not allowed: only names in {', '.join(p + '*' for p in ALLOWED)} are built"
        )
    try:
        found = pkgutil.resolve_name(target)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{path}._target_={target} does not exist{_hint(target)}") from error
    # A re-exported module would open the way around the list: genmodels.x.os.system.
    if not callable(found) or not f"{getattr(found, '__module__', '')}.".startswith(ALLOWED):
        raise UserError(f"{path}._target_={target} is not a class or function of {', '.join(ALLOWED)}")
    return found


def _hint(target: str) -> str:
    module, _, name = target.rpartition(".")
    try:
        close = nearest(name, vars(importlib.import_module(module)))
    except ImportError:
        return ""
    return f": did you mean {module}.{close}?" if close else f": {module} has no {name}"


def is_node(value: object) -> bool:
    """Whether a config value stands for an object to build."""
    return isinstance(value, Mapping) and "_target_" in value


def build(node: Mapping[str, Any], path: str = "config", **extra: Any) -> Any:
    """Build the object of a checked node, its nested nodes first.

    Args:
        node: plain mapping with `_target_`, optionally `_partial_: true` (then the result still takes arguments),
            and the target's keyword arguments.
        path: where in the config it stands, for messages.
        extra: further keyword arguments, which the config cannot hold.

    Raises:
        UserError: the target is not allowed, or refuses a value.
    """
    target = resolve(node["_target_"], path)
    arguments = {key: _build_nested(value, f"{path}.{key}") for key, value in node.items() if key not in CONTROL_KEYS}
    if node.get("_partial_"):
        return functools.partial(target, **arguments, **extra)
    try:
        return target(**arguments, **extra)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def _build_nested(value: Any, path: str) -> Any:
    if is_node(value):
        return build(value, path)
    if isinstance(value, Mapping):
        return {key: _build_nested(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_build_nested(item, f"{path}[{index}]") for index, item in enumerate(value)]
    return value
