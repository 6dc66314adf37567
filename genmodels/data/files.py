"""Files that a data set needs: are they there, are they whole, and where do they come from."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from genmodels.errors import UserError

T = TypeVar("T")

GET_IT = "add data.download=true or set data_dir=<folder>"


def require(path: Path, title: str, remedy: str = GET_IT) -> Path:
    """The path, if it exists. Raises UserError: what was looked for, where, and how to get it."""
    if not path.exists():
        missing = f"{title} not found: looked for {path.absolute()}"
        raise UserError(f"{missing}; {remedy}.", of_a_run=f"{missing}; set data_dir=<folder>.")
    return path


def require_intact(path: Path, md5: str, title: str, remedy: str = GET_IT) -> Path:
    """The path, if the file exists and has this md5. Raises UserError otherwise."""
    require(path, title, remedy)
    if md5_of(path) != md5:
        raise corrupt(path, title, f"its md5 is not {md5}")
    return path


def corrupt(path: Path, title: str, why: object) -> UserError:
    """The error for a file that is there but wrong."""
    wrong = f"{title} has a corrupt file, {path.absolute()} ({why}): delete it and get it again"
    return UserError(f"{wrong} (data.download=true where the set can be downloaded).", of_a_run=f"{wrong}.")


def md5_of(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def download(fetch: Callable[[], T], title: str, by_hand: str) -> T:
    """Run `fetch`. Raises UserError with the instructions `by_hand` if the network or the checksum says no."""
    try:
        return fetch()
    except (OSError, RuntimeError, ImportError) as error:  # URLError is an OSError; ImportError: gdown for CelebA
        reason = " ".join(str(error).split())
        raise UserError(f"{title} could not be downloaded ({reason}): {by_hand}.") from error
