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
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder} is in use: another process trains in it. Wait for its end, or name another folder"
            ) from None
        except OSError:
            pass
        yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()
        os.close(handle)
