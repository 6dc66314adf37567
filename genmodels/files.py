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

PARTIAL = ".partial"  # ends the hidden name under which a file is written


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file so that `path` is the old one or the whole new one at every moment; its folder is created.

    Raises:
        UserError: the disk is full; the old file stays.
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
    """Turn "no space left" while the body writes `path` into a UserError; other errors pass."""
    try:
        yield
    except Exception as error:
        if not _is_full_disk(error):
            raise
        raise UserError(
            f"No space left on the disk while writing {path}; what was there before is untouched. "
            f"Free some space, then start again; a training run goes on with `{command('train')} resume=<run folder>`."
        ) from error


def _is_full_disk(error: BaseException | None) -> bool:
    # torch.save raises a RuntimeError of its own while it handles the OSError.
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__context__
    return False
