"""Search over settings: one worker of a study, which may have many."""

import gc
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from optuna.trial import TrialState

from genmodels import plugins
from genmodels.commands import typeable
from genmodels.config.checks import check
from genmodels.config.compose import compose
from genmodels.config.devices import started_by_a_launcher
from genmodels.config.mistakes import sentence_for
from genmodels.config.overrides import parsed
from genmodels.errors import Interrupted, Pruned, UserError, printable
from genmodels.experiment import train, try_out
from genmodels.ranges import at_least
from genmodels.runs.places import folder_of_runs
from genmodels.sweeps.claims import Claim, alone, claim
from genmodels.sweeps.progress import TrialProgress
from genmodels.sweeps.pruning import Reports
from genmodels.sweeps.report import conclude
from genmodels.sweeps.space import Space, read_space
from genmodels.sweeps.study import Pruning, Study

OWN_KEYS = ("sweep", "study", "n_trials", "pruning")
_MOST_FALSE_STARTS = 3  # trials in a row that fail before their first step: the next would, too


@dataclass(frozen=True)
class Search:
    """What every worker of a study needs to know.

    Attributes:
        study: what was tried.
        space: what is varied.
        overrides: all else that the user has typed, common to all trials.
        config: as these alone compose it.
        n_trials: of the study, over all its workers and however they end.
        pruning: None: trials are never given up.
    """

    study: Study
    space: Space
    overrides: list[str]
    config: dict[str, Any]
    n_trials: int
    pruning: Pruning | None


def search(
    overrides: Sequence[str],
    space: Mapping[str, Any],
    study: str,
    n_trials: int,
    pruning: Mapping[str, int] | None,
) -> None:
    """Work on a study until it has all its trials, then say what came of it.

    Args:
        overrides: as typed for `train`, without those of the search itself.
        space: see `read_space`.
        study: name of its folder, <output_dir>/studies/<study>.
        n_trials: of the study, those included that there are.
        pruning: the arguments of `Pruning`, or None.

    Raises:
        UserError: a mistake that would end every trial, or another study under that name.
        Interrupted: a signal; the trial that was at work is gone on with by whoever is next.
    """
    at_least(1, under="", n_trials=n_trials)
    begun = _begin(list(overrides), space, study, n_trials, pruning)
    progress = TrialProgress(begun.study, n_trials)
    false_starts = 0
    while (taken := _next(begun)) is not None:
        number, held = taken
        try:
            progress.show(number)
            failure = _work(begun, number)
        finally:
            held.release()
        has_begun = "steps" in begun.study.run(number).read_record()
        false_starts = 0 if failure is None or has_begun else false_starts + 1
        if failure is not None and false_starts == _MOST_FALSE_STARTS:
            raise UserError(
                f"{false_starts} trials in a row failed before their first step, the last of them: {failure}"
            )
    conclude(begun.study, begun.space, begun.overrides)


def _begin(
    overrides: list[str], space: Mapping[str, Any], name: str, n_trials: int, pruning: Mapping[str, int] | None
) -> Search:
    if started_by_a_launcher():
        raise UserError(
            "a search is no job of several ranks: start each worker by itself (sbatch --array=1-4), and name GPUs for "
            "the processes of a trial by trainer.devices"
        )
    if any(o.key_or_group == "seeds" for o in parsed(overrides)):
        raise UserError("seeds= is for the command that a search ends with: a trial is one run, seed=...")
    found = read_space(space, [o.key_or_group for o in parsed(overrides)])
    config = compose(overrides)
    plugins.allow(config["plugins"])
    _check_ends(overrides, found)
    limits = None if pruning is None else Pruning(**pruning)
    selection = try_out(config).module.selection
    if selection is None:
        raise UserError(
            "nothing can be searched by: this objective names no validation figure that selects weights (GANs have one "
            "with objective.compared above 0)"
        )
    study = Study(
        folder_of_runs(str(Path(config["output_dir"]) / "studies"), name, "study"),
        selection.direction,
        limits,
    )
    with alone(study.folder):
        study.hold_to(config, found, selection)
    print(f"study     {typeable(study.folder)}, searches {', '.join(found.expressions)} by val/{selection.name}")
    return Search(study, found, overrides, config, n_trials, limits)


def _check_ends(overrides: list[str], space: Space) -> None:
    """Raise UserError if neither end of the space is a configuration: then a key is wrong, not some of its values."""
    mistakes = []
    for end in space.ends():
        try:
            check(compose([*overrides, *end]))
        except Exception as error:
            sentence = sentence_for(error, "config", [*overrides, *end])
            if sentence is None:
                raise
            mistakes.append(sentence)
    if len(mistakes) == 2:
        raise UserError(mistakes[0])


def _next(search: Search) -> tuple[int, Claim] | None:
    """A trial for this worker: one that was cut off before any new one. None when there are enough."""
    study = search.study
    with alone(study.folder):
        for trial in study.trials(TrialState.RUNNING):
            if held := claim(study.folder, trial.number):
                return trial.number, held
        if len(study.trials()) >= search.n_trials:
            return None
        number = study.ask(search.space, search.config["seed"])
        held = claim(study.folder, number)
        assert held is not None
        return number, held


def _work(search: Search, number: int) -> str | None:
    """Train a trial to its end and tell the study; returns why it failed, if it did."""
    study, trial = search.study.study, search.study.trials()[number]
    if trial.state.is_finished():
        return None  # told by a worker that was killed then
    overrides: list[str] = []
    try:
        if set(trial.params) != set(search.space.expressions):
            raise UserError("its worker was killed while it chose the values")
        overrides = [*search.overrides, *search.space.overrides(trial.params)]
        with _memory_given_back():
            _train(search, number, overrides)
        value = search.study.best_so_far(number)
        if value is None:
            raise UserError(f"no validation gave a number for {study.user_attrs['figure']}")
        study.tell(number, value)
    except (Interrupted, KeyboardInterrupt):
        raise
    except Pruned:
        study.tell(number, state=TrialState.PRUNED)
    except Exception as error:
        failure = sentence_for(error, "config", overrides) or printable(f"{type(error).__name__}: {error}")
        search.study.trial(number).set_user_attr("error", failure)
        study.tell(number, state=TrialState.FAIL)
        print(f"trial {number} failed: {failure}", file=sys.stderr)
        return failure
    return None


def _train(search: Search, number: int, overrides: list[str]) -> None:
    """The trial's run, from its beginning or from where it was cut off."""
    folder = search.study.run(number)
    reports = Reports(search.study.folder, number, search.pruning)
    if folder.path.exists() and folder.read_record().get("status") == "finished":
        return  # its worker was killed before it could tell
    if folder.last.exists():
        train({**search.config, "resume": str(folder.path)}, folder.path, watching=[reports])
        return
    if folder.path.exists():
        shutil.rmtree(folder.path)  # cut off before its first checkpoint
    train(compose(overrides), folder.path, overrides, watching=[reports])


@contextmanager
def _memory_given_back() -> Iterator[None]:
    """So that a trial that was too large leaves the GPU to the next."""
    try:
        yield
    finally:
        if torch.cuda.is_available():
            gc.collect()
            torch.cuda.empty_cache()
