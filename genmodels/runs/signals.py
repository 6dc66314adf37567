"""Signals that end a process, where nobody waits for a step to finish."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from genmodels import slurm
from genmodels.errors import Interrupted, Requeued

_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `Interrupted` in the body, as Ctrl-C raises KeyboardInterrupt: what follows is done.

    So does, in a job of SLURM, the signal to stop and be started again, as `Requeued`. The `Interrupt` callback takes
    over while there are steps. A signal that is ignored (nohup) stays so.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():  # Python hands signals to no other
        wanted = [s for s in (*_SIGNALS, *slurm.signals()) if signal.getsignal(s) is not signal.SIG_IGN]
        before = {number: signal.signal(number, _raise) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, frame: FrameType | None) -> None:
    kind = Requeued if number == slurm.REQUEUE else Interrupted
    raise kind(f"interrupted by {signal.Signals(number).name}")
