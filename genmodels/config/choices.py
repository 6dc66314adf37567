"""The lists of choices that `--help` and `--help <group>` show."""

import itertools
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType

_WIDTH = 110
_RECIPES = "experiment"


def choices() -> str:
    """Every config group with its options, wrapped, but for the recipes, which are too many.

    Hydra is asked for them, so the user's own from --config-dir are there too. Nothing where no help is asked for: a
    composition resolves its texts each time it merges, and the lists take it most of a second.
    """
    if not {"--help", "-h"} & set(sys.argv):
        return ""
    lines = [f"{group}: {', '.join(_options(group))}" for group in sorted(_groups()) if group != _RECIPES]
    lines.append(f"{_RECIPES}: {len(_options(_RECIPES))} recipes of papers, by the name <model>_<data>")
    return "\n".join(
        textwrap.fill(line, _WIDTH, subsequent_indent="    ", break_on_hyphens=False, break_long_words=False)
        for line in lines
    )


def options(group: str) -> str:
    """Every option of a group with the first sentence of what its file says about it."""
    if group not in set(_groups()):
        return f"there is no group {group}: the groups are {', '.join(sorted(_groups()))}"
    said = {option: _first_sentence(group, option) for option in _options(group)}
    indent = min(max(map(len, said)) + 2, 44)
    return "\n".join(
        textwrap.fill(f"{option:<{indent - 2}}  {text}", _WIDTH, subsequent_indent=" " * indent).rstrip()
        for option, text in said.items()
    )


def _groups(parent: str = "") -> Iterator[str]:
    """All groups with options to choose from: not Hydra's own, nor `base`, which only recipes use."""
    for name in GlobalHydra.instance().config_loader().list_groups(parent):
        group = f"{parent}/{name}".strip("/")
        if name not in ("hydra", "base"):
            if _options(group):
                yield group
            yield from _groups(group)


def _options(group: str) -> list[str]:
    return sorted(GlobalHydra.instance().config_loader().get_group_options(group, ObjectType.CONFIG))


def _first_sentence(group: str, option: str) -> str:
    sources = GlobalHydra.instance().config_loader().get_sources()
    files = (Path(source.path) / group / f"{option}.yaml" for source in sources if source.scheme() == "file")
    file = next((file for file in files if file.is_file()), None)
    lines = [] if file is None else file.read_text().splitlines()
    head = itertools.takewhile(lambda line: line.startswith("#"), lines)
    said = " ".join(line[1:].strip() for line in head if not line.startswith("# @"))
    return re.split(r"(?<=\.) (?=[A-Z])", said)[0]
