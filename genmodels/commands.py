"""How the user starts the front doors, so that a command that is printed can be typed as it stands."""

import re
import shlex
import sys
from pathlib import Path

DOORS = ("train", "evaluate", "sample", "compare", "export", "sweep")
_PLAIN = re.compile(r"[\w/.:@%+-]+", re.ASCII)  # what Hydra's grammar reads without quotes
_FILES = {"sweep": Path("experiments", "sweep.py")}  # in the clone, where they are not at its top


def command(door: str) -> str:
    """The door's command in the form in which this program was started.

    `python evaluate.py` beside `python train.py`, `genmodels-evaluate` beside `genmodels-train`; from a notebook or a
    program of the user's own `python -m genmodels evaluate`, which works wherever the package does.
    """
    started = Path(sys.argv[0])
    if started.name.startswith("genmodels-"):
        return f"genmodels-{door}"
    if started.suffix == ".py" and started.stem in DOORS:
        clone = started.parents[1] if started.stem in _FILES else started.parent
        return f"python {shlex.quote(str(clone / _FILES.get(door, f'{door}.py')))}"
    return f"python -m genmodels {door}"


def typeable(path: Path) -> str:
    """A path as one would type it here: relative where it lies below the current folder."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)


def assigned(key: str, path: Path | str) -> str:
    """`key=path` as it is to be typed, whatever is in the path."""
    text = str(path)
    return shlex.quote(f"{key}={text if _PLAIN.fullmatch(text) else quoted(text)}")


def quoted(text: object) -> str:
    """As Hydra's grammar reads it back."""
    escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), str(text))
    return f'"{escaped}"'
