"""Run a function in several processes of this machine that form one process group.

Hydra runs once, in the parent; the processes get the finished config. So a sweep's trial is the same on every rank,
which Lightning's own launcher (it runs the script again, sweep and all) does not give.
"""

import contextlib
import logging
import os
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from genmodels.commands import command
from genmodels.errors import Interrupted, UserError

_TOLD_BY_NAME = {error.__name__: error for error in (UserError, Interrupted)}


def launch(function: Callable[..., Any], processes: int, *arguments: Any) -> Any:
    """Call `function(*arguments)` in that many new processes and return what rank 0 returns.

    Args:
        function: importable by name, as are the arguments' types; a worker finds its rank in the environment.

    Raises:
        UserError, Interrupted: as the first worker to fail raised them; UserError too where one was killed.
        ChildFailedError: any other exception in a worker, with its traceback.
    """
    for name in ("torch.distributed", "torch.multiprocessing"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a failure is told by the exception
    with tempfile.TemporaryDirectory(prefix="genmodels-") as logs:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            start_method="spawn",
            signals_to_handle="SIGTERM,SIGHUP,SIGQUIT",
            logs_specs=DefaultLogsSpecs(log_dir=logs),
        )
        ctrl_c = _CtrlC()
        try:
            with _threads_shared(processes), ctrl_c:
                return elastic_launch(config, _work)(function, *arguments)[0]
        except ChildFailedError as error:
            cause = _as_raised(error)
            if ctrl_c.pressed and cause is error:
                raise Interrupted("interrupted") from error
            raise cause from error
        except SignalException as error:
            raise Interrupted("interrupted") from error


def _work(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None  # the launcher passes exceptions on, but not this one


class _CtrlC:
    """While it is entered, leaves Ctrl-C to the workers and only notes it.

    The terminal sends it to them too, and they end after a checkpoint; the launcher would send it a second time, which
    ends them at once.
    """

    def __init__(self) -> None:
        self.pressed = False
        self._before: Any = None

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGINT, self._note)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True


@contextlib.contextmanager
def _threads_shared(processes: int) -> Iterator[None]:
    """Let each process use its share of the cores, unless the user has said how many threads it may use."""
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // processes))
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]


def _as_raised(error: ChildFailedError) -> Exception:
    """The worker's own UserError or Interrupted, if that is what it was.

    A rank that dies takes the others' collectives down with it, so a sentence from any rank is the cause. A rank that
    was killed could say none.
    """
    for failure in error.failures.values():
        text = failure.message["message"] if isinstance(failure.message, dict) else str(failure.message)
        name, _, sentence = text.partition(": ")
        if name in _TOLD_BY_NAME:
            return _TOLD_BY_NAME[name](sentence)
    rank, first = error.get_first_failure()
    if first.exitcode >= 0:
        return error
    return UserError(
        f"the process of rank {rank} was killed ({first.signal_name()}), as the system does when memory runs out: "
        f"{command('train')} resume=<run folder> goes on from the run's last checkpoint"
    )
