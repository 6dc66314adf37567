"""A study: the trials of a search, in a folder that any number of processes and hosts work in."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from genmodels.errors import UserError
from genmodels.objectives.objective import Direction, Selection
from genmodels.randomness import seed_for
from genmodels.ranges import at_least
from genmodels.runs.compare import leaves
from genmodels.runs.folder import RunFolder
from genmodels.sweeps.space import Space
from genmodels.training.loggers import JOURNAL

_NAME = "study"  # of the one study in a journal
_MAY_DIFFER = (  # between the hosts that work on a study
    *("output_dir", "data_dir", "plugins", "resume", "compile", "logger."),
    *("data.root", "data.download", "data.num_workers", "data.device_resident"),
    *("trainer.accelerator", "trainer.devices", "trainer.strategy"),
)


@dataclass(frozen=True)
class Pruning:
    """When a trial is hopeless: its best figure so far is worse than the median of the finished trials' at that time.

    Attributes:
        startup_trials: so many have to be finished before the first is pruned.
        warmup_validations: that every trial has.
    """

    startup_trials: int
    warmup_validations: int

    def __post_init__(self) -> None:
        at_least(0, under="pruning.", **vars(self))


class Study:
    """What has been tried, and what to try next.

    Attributes:
        folder: of the study; trial 7 is the run in its folder 7.
        study: Optuna's.
    """

    def __init__(self, folder: Path, direction: Direction | None = None, pruning: Pruning | None = None) -> None:
        """Open the study in `folder`, or begin it where a direction is given, the better one of the figures."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
        pruner = None if pruning is None else MedianPruner(pruning.startup_trials, pruning.warmup_validations)
        if direction is None:
            self.study = optuna.load_study(study_name=_NAME, storage=storage)
        else:
            better = StudyDirection.MINIMIZE if direction == "lower" else StudyDirection.MAXIMIZE
            self.study = optuna.create_study(
                storage=storage, study_name=_NAME, direction=better, pruner=pruner, load_if_exists=True
            )

    def hold_to(self, config: Mapping[str, Any], space: Space, selection: Selection) -> None:
        """Note what the study is about, or hold it against what was noted: trials of different things do not compare.

        Raises:
            UserError: another configuration, space or figure.
        """
        kept = {key: text for key, text in leaves(config) if not f"{key}.".startswith(_MAY_DIFFER)}
        kept = {
            key: text for key, text in kept.items() if not any(f"{key}.".startswith(f"{s}.") for s in space.expressions)
        }
        now = {**kept, **{f"sweep.space.{key}": text for key, text in space.expressions.items()}}
        before = self.study.user_attrs.get("about")
        if before is None:
            self.study.set_user_attr("about", now)
            self.study.set_user_attr("figure", f"val/{selection.name}")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self.study.set_metric_names([f"val/{selection.name}"])  # for the dashboard
            return
        for key in dict.fromkeys((*now, *before)):
            if now.get(key) != before.get(key):
                raise UserError(
                    f"{self.folder} holds a study with {key}={before.get(key)}, which is now {now.get(key)}: begin "
                    "another one, study=<name>, or search on with the command that began it"
                )

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Those in the given states, or all, as they stand now."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def trial(self, number: int) -> Trial:
        """One that can be reported to."""
        return Trial(self.study, self.trials()[number]._trial_id)

    def ask(self, space: Space, seed: int) -> int:
        """Begin a trial; returns its number. By one process at a time: what it tries is a function of what was tried.

        That is, of the seed, the trial's number and all that has been told of others.
        """
        # One seeded sampler for a whole process would draw the same again in the next one.
        self.study.sampler = TPESampler(seed=seed_for("ask", seed, len(self.trials())) % 2**32)
        return self.study.ask(space.distributions).number

    def run(self, number: int) -> RunFolder:
        """The folder of a trial's run."""
        return RunFolder(self.folder / str(number))

    def best_so_far(self, number: int) -> float | None:
        """The best of a trial's validation figures, which its best.ckpt has; None without a number among them."""
        values = [v for v in self.trials()[number].intermediate_values.values() if not math.isnan(v)]
        return (min if self.study.direction == StudyDirection.MINIMIZE else max)(values, default=None)
