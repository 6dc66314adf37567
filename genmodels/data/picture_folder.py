"""The pictures below a folder: which files are meant, and which of them can be read."""

import contextlib
import hashlib
import json
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import PIL
from PIL import Image

from genmodels.data.colours import UNREADABLE, check_colours, refusing_bombs, why
from genmodels.errors import UserError
from genmodels.files import cache_folder, write_text
from genmodels.picture_files import open_picture
from genmodels.progress_bar import progress

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".gif"})
OF_SYSTEMS = frozenset(
    {"__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "system volume information", "lost+found"}
)
"""Folders that systems make for themselves, in lower case; theirs and editors' others begin with a dot."""

_AT_ONCE = 8  # threads, for Pillow decodes beside Python
_NAMED = 5  # of files that cannot be read
_CHECK = 1  # number it anew when another check finds other files bad

_Checked = dict[str, tuple[int, int, str | None]]  # by name: size, time of the last change, why it cannot be read


def pictures_below(root: Path) -> list[str]:
    """The pictures in a folder and all below it, as sorted paths from there.

    Hidden files and folders and those of systems are left out. Links are followed; a file or folder that is reached in
    several ways counts once, under its own path where that lies below `root`.

    Raises:
        UserError: a folder cannot be opened.
    """
    names: dict[str, str] = {}  # by real path
    seen: set[str] = set()
    folders, links, linked_files = deque([str(root)]), deque[str](), list[str]()
    while folders or links:
        folder = (folders or links).popleft()  # what lies here itself, before what is only linked
        real = os.path.realpath(folder)
        if real in seen:  # also what ends a loop of links
            continue
        seen.add(real)
        for entry in _entries(folder):
            is_picture = Path(entry.name).suffix.lower() in ENDINGS
            if Path(entry.path).is_dir():  # a link to itself is none; `entry.is_dir` would raise
                (links if entry.is_symlink() else folders).append(entry.path)
            elif is_picture and entry.is_symlink():
                linked_files.append(entry.path)
            elif is_picture:
                names.setdefault(os.path.realpath(entry.path), entry.path)
    for path in linked_files:
        names.setdefault(os.path.realpath(path), path)
    return sorted(Path(path).relative_to(root).as_posix() for path in names.values())


def readable(root: Path, names: list[str], skip_bad: bool) -> tuple[list[str], str | None]:
    """Those of the pictures that can be read, and a sentence about the others if there are any.

    Every file is decoded once. What comes out is kept in the user's cache folder, `pictures`, by path, size and time
    of the last change: only new files are decoded again.

    Args:
        root: the folder.
        names: paths of the pictures below it.
        skip_bad: go on without the others.

    Raises:
        UserError: there are others, and `skip_bad` is False.
    """
    checked = _checked(root, names)
    bad = {name: reason for name, (_, _, reason) in checked.items() if reason is not None}
    if not bad:
        return names, None
    shown = ", ".join(f"{name} ({reason})" for name, reason in list(bad.items())[:_NAMED])
    more = f" and {len(bad) - _NAMED:,} more" if len(bad) > _NAMED else ""
    told = f"{len(bad):,} of the {len(names):,} pictures in {root.absolute()} cannot be read: {shown}{more}"
    if not skip_bad:
        raise UserError(f"{told}; mend or remove them, or leave them out with data.skip_bad=true.")
    return [name for name in names if name not in bad], f"{told}; data.skip_bad=true leaves them out."


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not _is_hidden(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(
            f"The folder {folder} cannot be opened ({error.strerror}): data.root has to be readable."
        ) from error


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in OF_SYSTEMS


def _checked(root: Path, names: list[str]) -> _Checked:
    """Of each picture, in their order, what is known of it."""
    file = cache_folder("pictures") / f"{hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:32]}.json"
    version = f"{_CHECK} {PIL.__version__} {Image.MAX_IMAGE_PIXELS}"
    known, now = _kept(file, version), {name: _signature(root / name) for name in names}
    new = [name for name in names if name not in known or known[name][:2] != now[name]]
    if not new:
        return {name: known[name] for name in names}
    with refusing_bombs(), ThreadPoolExecutor(_AT_ONCE) as pool:
        reasons = progress(pool.map(lambda name: _fault(root / name), new), "looking at pictures", len(new))
        known |= {name: (*now[name], reason) for name, reason in zip(new, reasons, strict=True)}
    checked = {name: known[name] for name in names}
    with contextlib.suppress(OSError, UserError):  # read-only or full: the next run looks again
        write_text(file, json.dumps({"version": version, "pictures": checked}))
    return checked


def _signature(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # a link that leads nowhere
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _fault(path: Path) -> str | None:
    try:
        with open_picture(path) as picture:
            check_colours(picture)
            picture.load()
    except UNREADABLE as error:
        return why(error)
    return None


def _kept(file: Path, version: str) -> _Checked:
    """What an earlier look found, nothing if there was none, by another version, or the file is damaged."""
    try:
        content = json.loads(file.read_text())
        if content["version"] != version:
            return {}
        return {name: (int(size), int(time), reason) for name, (size, time, reason) in content["pictures"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
