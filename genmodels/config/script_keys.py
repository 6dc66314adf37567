"""The words key=value of a script that is no Hydra program itself, read as Hydra reads them."""

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_args, get_origin

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType

from genmodels.config.nodes import argument_errors, type_hints, unknown_key
from genmodels.config.targets import raise_all
from genmodels.errors import UserError

Keys = TypeVar("Keys", bound=Any)  # a dataclass


def read_keys(kind: type[Keys], arguments: Sequence[str], passed: str | None = None) -> tuple[Keys, tuple[str, ...]]:
    """The command line as an object.

    Args:
        kind: a dataclass, whose fields are the keys; one value may stand for a list of one, and a number for text, as
            in output_dir=2026.
        arguments: as typed.
        passed: how keys begin that are somebody else's, such as "hydra".

    Returns: the object, and the words whose keys are somebody else's, as typed. Of a key that is given twice the later
        value counts.

    Raises:
        UserError: a key that does not exist or is missing, or a value of another type than the field's.
        HydraException: a word that is not key=value.
    """
    hints = {field.name: type_hints(kind)[field.name] for field in fields(kind)}
    values: dict[str, object] = {}
    others = []
    for override in OverridesParser.create().parse_overrides(list(arguments)):
        key, word = override.key_or_group, override.input_line or ""
        if key not in hints and passed is not None and key.startswith(passed):
            others.append(word)
            continue
        if key not in hints:
            raise UserError(unknown_key("", key, set(hints)).replace("the config takes", "there are"))
        if override.is_sweep_override() or override.type is not OverrideType.CHANGE:
            raise UserError(f"{word}: write {key}=<value>, and a list as {key}=[<value>,<value>]")
        value = override.value()
        if get_origin(hints[key]) is list:
            items = value if isinstance(value, list) else [value]
            (kind_of_item,) = get_args(hints[key])
            values[key] = [_as(kind_of_item, item) for item in items]
        else:
            values[key] = _as(hints[key], value)
    needed = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    missing = [f"{key} is missing: give {key}=<value>, see --help" for key in needed if key not in values]
    raise_all([*argument_errors(kind, values, complete=False), *missing])
    return kind(**values), tuple(others)


def _as(hint: Any, value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number and hint in (str, str | None) else value
