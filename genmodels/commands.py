"""How the user starts the front doors, so that a command that is printed can be typed as it stands."""

import sys
from pathlib import Path

DOORS = ("train", "evaluate", "sample", "compare", "export")


def command(door: str) -> str:
    """The door's command in the form in which this program was started.

    `python evaluate.py` beside `python train.py`, `genmodels-evaluate` beside `genmodels-train`; from a notebook or a
    program of the user's own `python -m genmodels evaluate`, which works wherever the package does.
    """
    started = Path(sys.argv[0])
    if started.name.startswith("genmodels-"):
        return f"genmodels-{door}"
    if started.suffix == ".py" and started.stem in DOORS:
        return f"python {started.with_name(f'{door}.py')}"
    return f"python -m genmodels {door}"


def typeable(path: Path) -> str:
    """A path as one would type it here: relative where it lies below the current folder."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)
