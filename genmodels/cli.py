"""The front doors' frame: Hydra around a task, mistakes as one sentence, exit codes."""

import contextlib
import functools
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from genmodels.commands import command
from genmodels.config.choices import choices, options
from genmodels.config.compose import CONFIG_DIR, to_plain
from genmodels.config.mistakes import sentence_for
from genmodels.config.overrides import choice_errors, split
from genmodels.errors import Interrupted, UserError
from genmodels.runs.places import folder_of_runs

Task = Callable[[dict[str, Any]], float | None]

MISTAKE, BUG, INTERRUPTED = 2, 1, 130  # exit codes; 130 is the shell's for Ctrl-C


# Hydra makes the run folder before the task can look at the config; a resumed run has its own.
OmegaConf.register_new_resolver(
    "run_dir",
    lambda resume, output_dir, name, moment: (
        str(folder_of_runs(output_dir, name) / moment) if resume in (None, "auto") else "."
    ),
    replace=True,
)
OmegaConf.register_new_resolver("home", lambda path: str(Path(path).expanduser()), replace=True)
OmegaConf.register_new_resolver("choices", choices, replace=True)
OmegaConf.register_new_resolver("options", options, replace=True)
OmegaConf.register_new_resolver("command", command, replace=True)


class _JobEnded(BaseException):
    """Carries a job's exception past Hydra, which would print its own lines about it."""


def front_door(config_name: str, at_end: Callable[[], None] | None = None) -> Callable[[Task], Callable[[], None]]:
    """Make `task` a program whose config Hydra composes from conf/<config_name>.yaml and the command line.

    The task gets plain containers. What it returns is what a sweeper optimises. The program exits with 0 when done,
    2 with one sentence on stderr after a mistake the user can mend, 130 after Ctrl-C, and 1 with a traceback for a bug.
    However it ends, `at_end` is called before.
    """

    def decorate(task: Task) -> Callable[[], None]:
        @functools.wraps(task)
        def job(config: DictConfig) -> float | None:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                return _trial(task, config, config_name)
            try:
                return task(to_plain(config))
            except Exception as error:
                raise _JobEnded from error
            finally:
                folder = Path(HydraConfig.get().runtime.output_dir)
                if folder != Path.cwd():  # where the door that makes no folder of its own was started
                    with contextlib.suppress(OSError):
                        folder.rmdir()  # only where nothing has come of it

        program = hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name=config_name)(job)

        @functools.wraps(task)
        def main() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises instead of printing
            if config_name in ("config", "sweep"):
                sys.argv[1:] = _help_on_a_group(sys.argv[1:])
            try:
                overrides, options = split(sys.argv[1:])
                if told := "\n".join(choice_errors(overrides)):
                    raise UserError(told)
                sys.argv[1:] = [*overrides, *options]  # argparse takes no override behind -m that is behind another
                try:
                    program()
                finally:
                    if at_end is not None:
                        at_end()
            except (KeyboardInterrupt, Exception, _JobEnded) as error:
                cause = error.__cause__ if isinstance(error, _JobEnded) else error
                assert cause is not None
                sys.exit(_report(cause, config_name))

        return main

    return decorate


@contextlib.contextmanager
def told_in_a_sentence(arguments: Sequence[str], goes_on: bool = False) -> Iterator[None]:
    """End a script, which is no door of Hydra's, as a door ends: 2 and a sentence after a mistake, 130 after Ctrl-C.

    Args:
        arguments: the overrides among what was typed, which a sentence may name.
        goes_on: whether the script keeps what it has done, so that typing it again goes on.
    """
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        print("interrupted" + (": the same command goes on from here" if goes_on else ""), file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        sentence = sentence_for(error, "config", arguments)
        if sentence is None:
            raise
        print(sentence, file=sys.stderr)
        sys.exit(MISTAKE)


def _help_on_a_group(arguments: list[str]) -> list[str]:
    """`--help data` in Hydra's words; all else as it is."""
    if len(arguments) > 1 and arguments[0] in ("--help", "-h") and re.fullmatch(r"[\w/]+", arguments[1]):
        return ["--help", "hydra/help=options", f"hydra.help.header={arguments[1]}", *arguments[2:]]
    return arguments


def _trial(task: Task, config: DictConfig, config_name: str) -> float | None:
    """One job of a sweep. Its mistake is told at once; Hydra runs the others and raises the first in the end."""
    try:
        return task(to_plain(config))
    except Interrupted as error:
        raise KeyboardInterrupt(str(error)) from error  # ends the sweep, not only the trial
    except UserError as error:
        print(sentence_for(error, config_name, HydraConfig.get().overrides.task), file=sys.stderr)
        raise


def _report(error: BaseException, config_name: str) -> int:
    if isinstance(error, KeyboardInterrupt | Interrupted):
        print(str(error) or "interrupted", file=sys.stderr)
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):  # `python train.py --help | head`: the reader has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BUG
    sentence = sentence_for(error, config_name, sys.argv[1:])
    if sentence is None:
        traceback.print_exception(error)
        return BUG
    print(sentence, file=sys.stderr)
    return MISTAKE
