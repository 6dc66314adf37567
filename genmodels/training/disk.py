"""One sentence for a full disk, wherever in a run it strikes."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genmodels.errors import UserError


@contextmanager
def explaining_full_disk(path: Path) -> Iterator[None]:
    """Turn "no space left" while the body writes `path` into a UserError; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"No space left on the disk while writing {path}; what was there before is untouched. "
            "Free some space, then go on with `python train.py resume=<run folder>`."
        ) from error
