"""How far a study is."""

import time

from optuna.trial import TrialState

from genmodels.progress_bar import clock
from genmodels.sweeps.study import Study

_WIDTH = 20


class TrialProgress:
    """A line with a bar before each trial: how many are done, the best so far, and the time left.

    The time goes by what all workers of the study finished since this one began. One line and no moving bar: the
    trial's own is moving below it.
    """

    def __init__(self, study: Study, total: int) -> None:
        self._study, self._total = study, total
        self._since, self._before = time.monotonic(), self._done()

    def show(self, number: int) -> None:
        """Before trial `number`."""
        done = self._done()
        filled = min(_WIDTH, round(_WIDTH * done / self._total))
        bar = "━" * filled + "─" * (_WIDTH - filled)
        print(
            "  ".join([f"{bar} {done}/{self._total} trials", *self._best(), *self._time_left(done), f"trial {number}"])
        )

    def _done(self) -> int:
        return sum(trial.state.is_finished() for trial in self._study.trials())

    def _best(self) -> list[str]:
        if not self._study.trials(TrialState.COMPLETE):
            return []
        best = self._study.study.best_trial
        return [f"best {best.value:.4f} (trial {best.number})"]

    def _time_left(self, done: int) -> list[str]:
        if done == self._before:
            return []
        seconds = (time.monotonic() - self._since) / (done - self._before)
        return [f"ETA {clock(seconds * (self._total - done))}"]
