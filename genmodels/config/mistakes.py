"""Turn what Hydra, OmegaConf and the operating system raise over a user's mistake into one sentence."""

import argparse
import errno
import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import (
    CompactHydraException,
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from genmodels.commands import command
from genmodels.config.compose import compose_unresolved, group_names
from genmodels.errors import UserError, nearest, printable

_OS_SENTENCES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.ENOTDIR: "a file is where a folder is needed",
    errno.EEXIST: "a file is where a folder is needed",
}

# What torch says on the CPU and on GPUs, and of sizes that no address reaches.
_OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|Storage size calculation overflowed", re.IGNORECASE)


def sentence_for(error: BaseException, config_name: str, arguments: Iterable[str] = ()) -> str | None:
    """What to tell the user about `error`, fit for a terminal; None if it is no mistake of theirs but a bug.

    Args:
        error: what ended the run.
        config_name: the front door's primary config, whose keys suggest what a misspelt one was meant to be.
        arguments: as typed; suggestions fit the options that they choose.
    """
    sentence = _sentence(error, config_name, arguments)
    return None if sentence is None else printable(sentence)  # it may quote a stranger's file


def _sentence(error: BaseException, config_name: str, arguments: Iterable[str]) -> str | None:
    if isinstance(error, UserError):
        return str(error) if config_name == "config" else error.of_a_run
    if isinstance(error, OmegaConfBaseException):
        return _omegaconf(error)
    if isinstance(error, MissingConfigException):
        return _missing_option(error)
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override!r}: write key=value, and quote values with commas, spaces or brackets"
    if isinstance(error, CompactHydraException | HydraException):
        return _composition(error, config_name, arguments)
    if isinstance(error, ValueError) and str(error).startswith("Config group override must be"):
        return f"a group needs one of its options: {command('train')} --help lists them"
    return _machine(error)


def _machine(error: BaseException) -> str | None:
    """Full disks and exhausted memory: not the config's fault, nor a bug."""
    if isinstance(error, OSError) and error.errno in _OS_SENTENCES:
        place = f": {error.filename}" if error.filename else ""
        return f"{_OS_SENTENCES[error.errno]}{place}"
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error))):
        first = str(error).partition("\n")[0] or type(error).__name__
        return f"out of memory: make data.batch_size or the model smaller ({first})"
    return None


def _omegaconf(error: OmegaConfBaseException) -> str:
    key = getattr(error, "full_key", None) or "the config"
    if isinstance(error, MissingMandatoryValue):
        return f"{key} is missing: give {key}=..."
    return f"{key} cannot be resolved: {str(error).splitlines()[0]}"


def _missing_option(error: MissingConfigException) -> str:
    if not error.missing_cfg_file:
        return _one_line(str(error))
    group, _, option = error.missing_cfg_file.rpartition("/")
    options = list(error.options or ())
    if not options:
        return f"there is no {error.missing_cfg_file} among the configs"
    close = nearest(option, options)
    suggestion = f"did you mean {group}={close}? " if close else ""
    return f"there is no {group}={option}: {suggestion}{group} is one of {', '.join(sorted(options))}"


def _composition(error: Exception, config_name: str, arguments: Iterable[str]) -> str:
    message = str(error)
    unknown = re.match(r"Could not (?:override|delete from config\.) '([^']+)'", message)
    if unknown and isinstance(error, ConfigCompositionException):
        return _unknown_override(unknown.group(1).split("@")[0], config_name, arguments)
    existing = re.match(r"Could not append to config\. An item is already at '([^']+)'", message)
    if existing:
        return f"{existing.group(1)} exists already: leave the + out, {existing.group(1)}=..."
    if message.startswith("Ambiguous value for argument"):
        override = message.split("'")[1]
        return f"{override} names several values: add -m to run them all, or write [a,b] for a list"
    return _one_line(message)


def _unknown_override(key: str, config_name: str, arguments: Iterable[str]) -> str:
    """Name the nearest key to the right of the part of `key` that exists."""
    from genmodels.config.nodes import unknown_key  # torch's classes are among what it knows: it takes its time

    choices = _group_choices(arguments) if config_name == "config" else []  # only training has groups
    here: Any = OmegaConf.to_container(compose_unresolved(choices, config_name))
    parts = re.split(r"[./]", key)
    for depth, part in enumerate(parts):
        if not isinstance(here, dict) or part not in here:
            if part in _taken(here, ".".join(parts[:depth])):
                return f"{key} is not set yet: add it with a +, +{key}=..."
            known = {name for name in here if not name.startswith("_")} if isinstance(here, dict) else set()
            return unknown_key(".".join(parts[:depth]), part, known)
        here = here[part]
    return f"{key} cannot be set"


def _taken(node: Any, path: str) -> set[str]:
    """The arguments of a node's target, those too that its config leaves out."""
    from genmodels.config.targets import is_node, place_of, resolve

    if not is_node(node):
        return set()
    try:
        place = place_of(path)
        return set(inspect.signature(resolve(node["_target_"], place, path)).parameters) - set(place.supplied)
    except UserError:
        return set()  # a user's own that may not be imported


def _group_choices(arguments: Iterable[str]) -> list[str]:
    """Those command-line overrides that choose a group's option, so that suggestions fit the chosen model."""
    groups = group_names()
    arguments = list(arguments)
    given = [argument for argument in arguments if "=" in argument and not argument.startswith("-")]
    overrides = OverridesParser.create().parse_overrides(given)
    chosen = [o for o in overrides if o.key_or_group in groups and not o.is_sweep_override()]
    return [o.input_line for o in chosen if o.input_line] + _search_path(arguments)


def _search_path(arguments: Iterable[str]) -> list[str]:
    """The user's own folder of options as an override, for compositions without a command line."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--config-dir", "-cd")
    folder = parser.parse_known_args(list(arguments))[0].config_dir
    return [f"hydra.searchpath=['file://{Path(folder).absolute()}']"] if folder else []


def _one_line(text: str) -> str:
    return " ".join(text.split())
