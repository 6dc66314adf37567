"""Which trials of a study somebody is at work on, on this host or another."""

import contextlib
import os
import platform
import threading
from collections.abc import Iterator
from pathlib import Path

from genmodels.runs.lock import locks

_BEAT = 30.0  # seconds
_DEAD = 10 * _BEAT  # without a sign from another host


class Claim:
    """A trial that this process works on, from its making until `release` or the end of the process.

    Its file is locked, which tells the processes of this host at once when this one is killed. Not every shared disk
    passes locks on to other hosts: they go by the file's time of change, which is renewed until then.
    """

    def __init__(self, path: Path, handle: int) -> None:
        self._path, self._handle = path, handle
        self._ended = threading.Event()
        path.write_text(platform.node())
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Leave the trial to others. Its file is removed, or other hosts would wait for a sign of life.

        Not to be called in `alone`, which it waits for: nobody may look at the file meanwhile.
        """
        self._ended.set()
        self._thread.join()
        with alone(self._path.parents[1]):
            self._path.unlink(missing_ok=True)
        os.close(self._handle)

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT):
            with contextlib.suppress(OSError):
                self._path.touch()


def claim(study: Path, number: int) -> Claim | None:
    """Claim a trial of the study in that folder; None if somebody is at work on it. To be asked in `alone`."""
    path = study / "claims" / str(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    if not locks(handle) or _lives_elsewhere(path):
        os.close(handle)
        return None
    return Claim(path, handle)


@contextlib.contextmanager
def alone(study: Path) -> Iterator[None]:
    """While the body runs, no other process of the study is in one; they wait."""
    handle = os.open(study / "study.lock", os.O_RDWR | os.O_CREAT)
    try:
        locks(handle, wait=True)
        yield
    finally:
        os.close(handle)


def _lives_elsewhere(path: Path) -> bool:
    """Whether another host has written the claim, and lately. Both times are by the clock of the disk."""
    host = path.read_text()
    if host in ("", platform.node()):
        return False
    now = path.with_name(f"now-{platform.node()}-{os.getpid()}")
    now.touch()
    age = now.stat().st_mtime - path.stat().st_mtime
    now.unlink()
    return age < _DEAD
