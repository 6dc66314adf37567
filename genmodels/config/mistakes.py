"""Turn what Hydra, OmegaConf and the operating system raise over a user's mistake into one sentence."""

import errno
import inspect
import re
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
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
from genmodels.config.compose import CONFIG_DIR, compose_unresolved, group_names
from genmodels.config.overrides import composable, culprit, parsed, search_path, typed
from genmodels.errors import UserError, nearest, printable

_OS_SENTENCES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file grew beyond what the system allows (ulimit -f)",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.ENOTDIR: "a file is where a folder is needed",
    errno.EEXIST: "a file is where a folder is needed",
}

_CHOSEN_BY_RECIPES = ("model", "data", "objective", "optimizer", "scheduler")
_SHOWN = 200  # characters of another library's message that a sentence quotes

# What torch says on the CPU and on GPUs, and of sizes that no address reaches.
_OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|Storage size calculation overflowed", re.IGNORECASE)


def sentence_for(error: BaseException, config_name: str, arguments: Sequence[str] = ()) -> str | None:
    """What to tell the user about `error`, fit for a terminal; None if it is no mistake of theirs but a bug.

    Args:
        error: what ended the run.
        config_name: the front door's primary config, whose keys suggest what a misspelt one was meant to be.
        arguments: as typed; suggestions fit the options that they choose.
    """
    sentence = _sentence(error, config_name, arguments)
    return None if sentence is None else printable(sentence)  # it may quote a stranger's file


def _sentence(error: BaseException, config_name: str, arguments: Sequence[str]) -> str | None:
    if isinstance(error, UserError):
        return _with_its_experiment(str(error), arguments) if config_name == "config" else error.of_a_run
    if isinstance(error, OmegaConfBaseException):
        return _omegaconf(error)
    if isinstance(error, MissingConfigException):
        return _missing_option(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    if isinstance(error, CompactHydraException | HydraException):
        return _composition(error, config_name, arguments)
    if isinstance(error, OSError) and _is_making_a_folder(error):
        return _no_folder(error, arguments)
    return _machine(error) or _not_composed(config_name, arguments)


def _not_composed(config_name: str, arguments: Sequence[str]) -> str | None:
    """What Hydra stumbles over in other ways than by an error of its own; None where the configuration composes."""
    found = culprit(config_name, arguments)
    if found is None:
        return None
    override, error = found
    return f"{override} cannot be used ({_one_line(str(error))[:_SHOWN]}): {command('train')} --help lists what can"


def _machine(error: BaseException) -> str | None:
    """Full disks and exhausted memory: not the config's fault, nor a bug."""
    if isinstance(error, OSError) and error.errno in _OS_SENTENCES:
        place = f": {error.filename}" if error.filename else ""
        return f"{_OS_SENTENCES[error.errno]}{place}"
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error))):
        first = str(error).partition("\n")[0] or type(error).__name__
        return f"out of memory: make data.batch_size or the model smaller ({first})"
    return None


def _is_making_a_folder(error: OSError) -> bool:
    """Whether Hydra was at it: it makes a run's folder before the task is called."""
    names = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return next((name for name in reversed(names) if name not in ("os", "pathlib")), "").startswith("hydra.")


def _no_folder(error: OSError, arguments: Sequence[str]) -> str:
    key = next((key for key in ("hydra.run.dir", "hydra.sweep.dir") if any(a.startswith(key) for a in arguments)), None)
    reason = _OS_SENTENCES.get(error.errno or 0) or (error.strerror or str(error)).lower()
    return f"{reason}: {error.filename}: no folder can be made there, choose another {key or 'output_dir'}"


def _unreadable(override: str) -> str:
    """For name=größe: the same in quotes, where these are all that is missing."""
    key, equals, value = override.partition("=")
    quoted = f"{key}='{value}'"
    if equals and value and not set(value) & set("'\"\\[]{}") and parsed([quoted]):
        return f'cannot read {override!r}: quote its value, and the whole from the shell: "{quoted}"'
    return f"cannot read {override!r}: write key=value, and quote values with commas, spaces or brackets"


def _with_its_experiment(sentence: str, arguments: Sequence[str]) -> str:
    """The sentence; about a key that only the experiment has set, with what it does not go with."""
    overrides = [o for o in parsed(typed(arguments)) if not o.is_sweep_override()]
    unknown = re.match(r"unknown key ([^:\s]+)", sentence)
    experiment = next((o for o in overrides if o.key_or_group == "experiment"), None)
    others = [o for o in overrides if o.key_or_group.partition("/")[0] in _CHOSEN_BY_RECIPES]
    if not unknown or experiment is None or not others or any(o.key_or_group == unknown.group(1) for o in overrides):
        return sentence
    beside = ", ".join(str(o.input_line) for o in others)
    told = sentence.removesuffix("?")
    return f"{told}; it is of {experiment.input_line}, which does not go with {beside}: leave one of them out"


def _omegaconf(error: OmegaConfBaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            return str(cause)  # of a resolver of ours
        cause = cause.__cause__ or cause.__context__
    key = getattr(error, "full_key", None) or "the config"
    if isinstance(error, MissingMandatoryValue):
        return f"{key} is missing: give {key}=..."
    return f"{key} cannot be resolved: {str(error).splitlines()[0]}"


def _missing_option(error: MissingConfigException) -> str:
    if not error.missing_cfg_file:
        return _one_line(str(error))
    group, option = _group_and_option(error.missing_cfg_file)
    options = list(error.options or ()) or [file.stem for file in (CONFIG_DIR / group).glob("*.yaml")]
    if not options:
        return f"there is no {error.missing_cfg_file} among the configs"
    close = nearest(option.replace("/", "_"), options)
    suggestion = f"did you mean {group}={close}? " if close else ""
    return f"there is no {group}={option}: {suggestion}{group} is one of {', '.join(sorted(options))}"


def _group_and_option(path: str) -> tuple[str, str]:
    """The parts of "objective/penalty/r1", or of "experiment/glow/cifar10", in which the option has a slash in it."""
    groups = group_names()
    parts = path.split("/")
    length = next((n for n in range(len(parts) - 1, 0, -1) if "/".join(parts[:n]) in groups), len(parts) - 1)
    return "/".join(parts[:length]), "/".join(parts[length:])


def _composition(error: Exception, config_name: str, arguments: Sequence[str]) -> str:
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
    return _not_composed(config_name, arguments) or _one_line(message)


def _unknown_override(key: str, config_name: str, arguments: Sequence[str]) -> str:
    """Name the nearest key to the right of the part of `key` that exists."""
    from genmodels.config.nodes import unknown_key  # torch's classes are among what it knows: it takes its time

    if "/" in key and key in group_names():
        return _no_such_part(key)
    choices = _group_choices(arguments) if config_name == "config" else []  # only training has groups
    here: Any = OmegaConf.to_container(compose_unresolved(composable(config_name, choices), config_name))
    value = next((o.value() for o in parsed(typed(arguments)) if o.key_or_group == key), None)
    parts = [*re.split(r"[./]", key), *_first_unknown(value, _at(here, re.split(r"[./]", key)))]
    for depth, part in enumerate(parts):
        if not isinstance(here, dict) or part not in here:
            if part in _taken(here, ".".join(parts[:depth])):
                return f"{key} is not set yet: add it with a +, +{key}=..."
            known = {name for name in here if not name.startswith("_")} if isinstance(here, dict) else set()
            return unknown_key(".".join(parts[:depth]), part, known)
        here = here[part]
    return f"{key} cannot be set"


def _at(config: Any, parts: Iterable[str]) -> Any:
    for part in parts:
        config = config.get(part) if isinstance(config, dict) else None
    return config


def _first_unknown(value: Any, here: Any) -> list[str]:
    """The path in a mapping that is typed as a value to its first key that the config lacks."""
    if not isinstance(value, dict) or not isinstance(here, dict):
        return []
    for key, item in value.items():
        path = _first_unknown(item, here[key]) if key in here else [""]
        if path:
            return [str(key), *filter(None, path)]
    return []


def _no_such_part(group: str) -> str:
    """For model/likelihood beside a model that has none: the models that have one."""
    parent, _, part = group.rpartition("/")
    having = [file.stem for file in sorted((CONFIG_DIR / parent).glob("*.yaml")) if part in _parts_of(file)]
    return f"the chosen {parent} has no {group}: leave it out, or choose {parent}={', '.join(having)}"


def _parts_of(file: Path) -> set[str]:
    """The groups below its own that an option's list of defaults names, or those of the options it starts from."""
    found: set[str] = set()
    for entry in (yaml.safe_load(file.read_text()) or {}).get("defaults", []):
        if isinstance(entry, str) and entry != "_self_":
            found |= _parts_of(file.with_name(f"{entry}.yaml"))
        elif isinstance(entry, dict):
            found |= {name.partition("@")[0].split()[-1] for name in entry if not name.startswith("override ")}
    return found


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


def _group_choices(arguments: Sequence[str]) -> list[str]:
    """Those command-line overrides that choose a group's option, so that suggestions fit the chosen model."""
    groups = group_names()
    chosen = [o for o in parsed(typed(arguments)) if o.key_or_group in groups and not o.is_sweep_override()]
    return search_path(arguments) + [o.input_line for o in chosen if o.input_line]


def _one_line(text: str) -> str:
    return " ".join(text.split())
