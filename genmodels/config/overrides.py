"""What is typed on the command line, as Hydra reads it: which of it can be no override, and which one is to blame."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from genmodels.config.compose import CONFIG_DIR, compose_unresolved, group_names
from genmodels.errors import UserError

_SHOWN = 6  # options that a sentence lists of a group


def split(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """A program's arguments parted into overrides and Hydra's own options with their values.

    Raises:
        UserError: there is no such option.
    """
    actions = {name: action for action in get_args_parser()._actions for name in action.option_strings}
    overrides, options = [], []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if not argument.startswith("-"):
            overrides.append(argument)
            continue
        if not any(name.startswith(argument.partition("=")[0]) for name in actions):
            raise UserError(f"there is no option {argument}: settings are typed as key=value, without dashes")
        options.append(argument)
        action = actions.get(argument)
        takes_next = action is not None and (
            action.nargs is None or (waiting[:1] and waiting[0] in (action.choices or ()))
        )
        if takes_next and waiting:
            options.append(waiting.pop(0))
    return overrides, options


def typed(arguments: Iterable[str]) -> list[str]:
    """The overrides among a program's arguments; none where these are faulty themselves."""
    try:
        return split(arguments)[0]
    except UserError:
        return []


def parsed(arguments: Iterable[str]) -> list[Override]:
    """Those that can be read, each by itself."""
    found = []
    for argument in arguments:
        try:
            found += OverridesParser.create().parse_overrides([argument])
        except HydraException:
            continue
    return found


def choice_errors(arguments: Iterable[str]) -> Iterator[str]:
    """A sentence for every override of a group that does not name one of its options."""
    groups = group_names()
    for override in parsed(typed(arguments)):
        group, typed_line = override.key_or_group, override.input_line
        if group not in groups or override.is_sweep_override() or isinstance(value := override.value(), dict):
            continue
        if override.package is not None and override.is_add():
            continue  # an optimiser of one part's own: +optimizer@optimizers.discriminator=adam_gan
        if override.package is not None:
            yield f"{typed_line} cannot be placed elsewhere: leave @{override.package} out, {group}={value}"
        elif override.is_delete() and (value is None or isinstance(value, str)):
            continue
        elif override.is_delete():
            yield f"{typed_line} names no option of {group}: leave its value out, ~{group}"
        elif override.is_force_add():
            yield f"{typed_line} is one + too many: leave them out, {group}={value}"
        elif not isinstance(value, str):
            yield f"{typed_line} names no option of {group}: choose {options_of(group)}"


def options_of(group: str) -> str:
    """Some of a group's options, to go on with after "choose"."""
    names = sorted(file.stem for file in (CONFIG_DIR / group).glob("*.yaml"))
    rest = f" or another of {len(names)}" if len(names) > _SHOWN else ""
    return f"{group}={', '.join(names[:_SHOWN])}{rest}"


def culprit(config_name: str, arguments: Iterable[str]) -> tuple[str, Exception] | None:
    """The first override with which the configuration cannot be composed, and why; None where all of them go."""
    arguments = list(arguments)
    folder = search_path(arguments)
    kept: list[str] = []
    for override in typed(arguments):
        error = _fails(config_name, [*kept, override, *folder])
        if error is None:
            kept.append(override)
        elif not parsed([override]) or not parsed([override])[0].is_sweep_override():
            return override, error
    return None


def composable(config_name: str, overrides: Iterable[str]) -> list[str]:
    """Those overrides with which the configuration can be composed, each beside those before it."""
    kept: list[str] = []
    for override in overrides:
        if _fails(config_name, [*kept, override]) is None:
            kept.append(override)
    return kept


def search_path(arguments: Iterable[str]) -> list[str]:
    """The user's own folder of options as an override, for compositions without a command line."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--config-dir", "-cd")
    folder = parser.parse_known_args(list(arguments))[0].config_dir
    return [f"hydra.searchpath=['file://{Path(folder).absolute()}']"] if folder else []


def _fails(config_name: str, overrides: Sequence[str]) -> Exception | None:
    try:
        compose_unresolved(overrides, config_name)
    except Exception as error:  # Hydra and OmegaConf let errors of many types out
        return error
    return None
