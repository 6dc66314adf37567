"""Files that are whole or absent, whatever happens while they are written, and one sentence for a full disk."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from genmodels.commands import command
from genmodels.errors import UserError

_NO_ROOM = {
    errno.ENOSPC: ("No space left on the disk", "Free some space"),
    errno.EDQUOT: ("The disk quota is used up", "Free some space"),
    errno.EFBIG: ("The largest size of a file is reached (ulimit -f)", "Raise it"),
}
PARTIAL = ".partial"  # ends the hidden name under which a file is written


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file so that `path` is the old one or the whole new one at every moment; its folder is created.

    Raises:
        UserError: the disk is full, or the file larger than the system allows; the old file stays.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{PARTIAL}")
    try:
        with explaining_full_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def cache_folder(name: str) -> Path:
    """A folder of the user's cache, $XDG_CACHE_HOME/genmodels/<name> or ~/.cache/genmodels/<name>; not created."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genmodels" / name


def read_text(path: Path, most: int) -> str:
    """The text of a file that somebody else may have written.

    Raises:
        OSError: it cannot be read.
        ValueError: it has more than `most` bytes, is a pipe or a device, which may never end, or is no UTF-8.
    """
    if not path.is_file():
        raise ValueError("it is not a file")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    return content.decode()


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text`, all of it or nothing; see `replacing`."""
    with replacing(path) as file:
        file.write(text.encode())


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process was writing in `folder`."""
    for leftover in folder.glob(f".*{PARTIAL}"):
        with suppress(FileNotFoundError):
            leftover.unlink()


@contextmanager
def explaining_full_disk(path: Path) -> Iterator[None]:
    """Turn "no space left" while the body writes `path` into a UserError, and so a file beyond the allowed size.

    Other errors pass.
    """
    try:
        yield
    except Exception as error:
        number = _error_number(error)
        if number not in _NO_ROOM:
            raise
        what, remedy = _NO_ROOM[number]
        raise UserError(
            f"{what} while writing {path}; what was there before is untouched. "
            f"{remedy}, then start again; a training run goes on with `{command('train')} resume=<run folder>`."
        ) from error


def _error_number(error: BaseException | None) -> int | None:
    """The system's, of the first OSError among an error and those that it was raised over."""
    # torch.save raises a RuntimeError of its own while it handles the OSError.
    while error is not None and not (isinstance(error, OSError) and error.errno in _NO_ROOM):
        error = error.__context__
    return None if error is None else error.errno
