"""One process at a time trains in a run folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from genmodels.errors import UserError

try:
    import fcntl
except ImportError:  # Windows knows no such locks: two runs in a folder are then the user's to avoid
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder, which is created, while the body runs. The lock dies with its process, however that ends.

    A folder that is empty in the end is removed. Network disks that know no locks are trusted.

    Raises:
        UserError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if not locks(handle):
            raise UserError(
                f"{folder} is in use: another process trains in it. Wait for its end, or name another folder"
            )
        yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()
        os.close(handle)


def locks(handle: int, wait: bool = False) -> bool:
    """Lock an open file or folder until it is closed or the process ends; False if another process holds the lock.

    Args:
        handle: as `os.open` gives it.
        wait: until the other one lets go.

    Returns: True also where the system or the disk knows no locks.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
