"""The list of choices that `--help` shows."""

import textwrap

from genmodels.config.compose import CONFIG_DIR

_WIDTH = 110


def choices() -> str:
    """Every config group with its options, wrapped; groups that only other options use are left out.

    The recipes, which are many, come last.
    """
    groups: dict[str, list[str]] = {}
    for file in sorted(CONFIG_DIR.rglob("*/*.yaml")):
        group = file.parent.relative_to(CONFIG_DIR).as_posix()
        if not group.startswith("hydra") and not group.endswith("/base"):
            groups.setdefault(group, []).append(file.stem)
    return "\n".join(
        textwrap.fill(f"{group}: {', '.join(options)}", _WIDTH, subsequent_indent="    ", break_on_hyphens=False)
        for group, options in sorted(groups.items(), key=lambda item: (item[0] == "experiment", item[0]))
    )
