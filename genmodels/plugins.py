"""The door for code from outside: a user's own package, once the user has said that it may be imported.

`plugins=[my_package]` on the command line says so, or GENMODELS_PLUGINS=my_package,other in the environment. A config
alone, which may be a stranger's, names classes but imports nothing.
"""

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from genmodels.errors import UserError, nearest

VARIABLE = "GENMODELS_PLUGINS"

T = TypeVar("T")

_allowed: dict[str, None] = {}  # a set in the order of its members, for this process
_NOT_A_USERS = sys.stdlib_module_names | {"genmodels", "torch", "pytorch_lightning", "lightning"}


def allow(packages: str | Iterable[str] | None = ()) -> None:
    """Import `packages` and those that GENMODELS_PLUGINS names: from now on what they define may be named.

    The current directory is searched last, so that a package beside the user is found from any folder and hides
    nothing.

    Args:
        packages: names, or text with commas between them.

    Raises:
        UserError: there is no such package, or it cannot be imported.
    """
    if not isinstance(packages or (), Iterable):
        raise UserError(f"plugins must be names of packages, such as plugins=[my_package], got {packages}")
    for key, names in (("plugins", packages or ()), (VARIABLE, os.environ.get(VARIABLE, ""))):
        for name in map(str.strip, map(str, names.split(",") if isinstance(names, str) else names)):
            if name and name not in _allowed:
                _import_package(name, key)
                _allowed[name] = None


def is_allowed(name: str) -> bool:
    """Whether `name` lies below a package that may be imported."""
    return _package_of(name) is not None


def find(name: str, key: str) -> Any:
    """The class or function `name`, which one of the allowed packages defines.

    Args:
        name: dotted, "my_package.models.Net".
        key: what names it in the config, for messages.

    Raises:
        UserError: the package is not allowed, cannot be imported, or does not define it.
    """
    package = _package_of(name)
    if package is None:
        raise UserError(f"{key}={name} is not allowed{way_in(name)}")
    module, _, last = name.rpartition(".")
    _import(module, f"{key}={name}", f"there is no module {module}")
    found = getattr(sys.modules[module], last, None)
    if found is None:
        close = nearest(last, vars(sys.modules[module]))
        raise UserError(
            f"{key}={name} does not exist: "
            + (f"did you mean {module}.{close}?" if close else f"{_with_file(module)} has no {last}")
        )
    # What a package merely imports is not its own: my_package.os.system.
    if not callable(found) or not f"{getattr(found, '__module__', '')}.".startswith(f"{package}."):
        raise UserError(f"{key}={name} is not allowed: {package} does not define it")
    return found


def resolve(name: str, base: type[T], key: str) -> type[T]:
    """The class `name`, a subclass of `base` that one of the allowed packages defines.

    Args:
        name: dotted, "my_package.Rings".
        base: what it has to be, e.g. `genmodels.data.Source`.
        key: what names it in the config or on the command line, for messages.

    Raises:
        UserError: as `find`; or the class is no such subclass, or lacks methods that it has to define.
    """
    return fitting(find(name, key), base, f"{key}={name}")


def fitting(found: Any, base: type[T], named: str) -> type[T]:
    """`found` if it is a subclass of `base` that can be built; raises UserError otherwise."""
    if not inspect.isclass(found) or not issubclass(found, base):
        raise UserError(f"{named} is no {public_name(base)}: derive the class from it")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise UserError(f"{named} has no {missing}: every {public_name(base)} defines it")
    return found


def way_in(name: str) -> str:
    """How a sentence that refuses `name` goes on: what lets it in, where that may be a user's package."""
    package = name.partition(".")[0]
    if "." not in name or package in _NOT_A_USERS or not package.isidentifier():
        return ""
    return f": if you trust the package {package}, add plugins=[{package}] on the command line"


def is_users(thing: Any) -> bool:
    """Whether a class or function is defined in an allowed package."""
    return is_allowed(f"{getattr(thing, '__module__', '')}.")


def public_name(thing: Any) -> str:
    """The name by which a user imports a class or function: that of the room's face for one of ours."""
    module = thing.__module__
    return f"{'.'.join(module.split('.')[:2]) if module.startswith('genmodels.') else module}.{thing.__name__}"


def _package_of(name: str) -> str | None:
    allow()  # GENMODELS_PLUGINS holds for whoever asks first
    return next((package for package in _allowed if name.startswith(f"{package}.")), None)


def _import_package(name: str, key: str) -> None:
    if not all(part.isidentifier() for part in name.split(".")):
        raise UserError(f"{key} takes names of packages as Python imports them, such as my_package, got {name!r}")
    if name.partition(".")[0] in _NOT_A_USERS:
        raise UserError(f"{key}={name} is a package that comes with Python or genmodels: give yours another name")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    missing = f"there is no package {name}: install it, or start from the folder in which it lies"
    _import(name, f"{key}={name}", missing)


def _import(module: str, named: str, missing: str) -> None:
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's module does while it is read
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
            raise UserError(f"{named}: {missing}") from error
        raise UserError(f"{named}: {module} cannot be imported: {in_one_line(error)}") from error


def in_one_line(error: BaseException) -> str:
    """What a user's code has raised: type and message with the file and line."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    if isinstance(error, SyntaxError) or len(own) < 2:  # the first is our own
        return text
    return f"{text} ({own[-1].filename}, line {own[-1].lineno})"


def _with_file(module: str) -> str:
    file = getattr(sys.modules[module], "__file__", None)
    return f"{module} ({file})" if file else module
