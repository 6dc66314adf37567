"""One sentence for a full disk, wherever in a run it strikes."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genmodels.commands import command
from genmodels.errors import UserError


@contextmanager
def explaining_full_disk(path: Path) -> Iterator[None]:
    """Turn "no space left" while the body writes `path` into a UserError; other errors pass."""
    try:
        yield
    except Exception as error:
        if not _is_full_disk(error):
            raise
        raise UserError(
            f"No space left on the disk while writing {path}; what was there before is untouched. "
            f"Free some space, then go on with `{command('train')} resume=<run folder>`."
        ) from error


def _is_full_disk(error: BaseException | None) -> bool:
    # torch.save raises a RuntimeError of its own while it handles the OSError.
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__context__
    return False
