"""Many runs on one page: a leaderboard, their curves, their samples, and how two of them differ.

    python experiments/report.py runs=outputs                                # every run below a folder
    python experiments/report.py runs='outputs/glow_small-digits/*' out=glow.html
    python experiments/report.py runs='[outputs/tables,multirun/2026-11-26]'

The page (by default report.html) holds all it shows and needs no network; see docs/report.md. A run that cannot be read
is named there and left out.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser

from genmodels.cli import told_in_a_sentence
from genmodels.errors import UserError, nearest, printable
from genmodels.reports.collect import RunSummary, run_folders, summary_of
from genmodels.reports.page import write_report


def asked_by(arguments: Sequence[str]) -> tuple[list[str], Path]:
    """Patterns of run folders, and the page to write.

    Raises:
        UserError: there is no `runs`, or a key that does not exist.
    """
    own = {"runs": None, "out": "report.html"}
    for override in OverridesParser.create().parse_overrides(list(arguments)):
        key = override.key_or_group
        if key not in own:
            meant = nearest(key, own)
            raise UserError(
                f"{key} is no key of a report: " + (f"did you mean {meant}?" if meant else "give runs, out")
            )
        own[key] = override.value()
    if own["runs"] is None:
        raise UserError("runs is missing: give runs=<folder or pattern>, such as runs=outputs")
    patterns = own["runs"] if isinstance(own["runs"], list) else [own["runs"]]
    return [str(pattern) for pattern in patterns], Path(str(own["out"])).expanduser()


def report(patterns: Sequence[str], out: Path) -> None:
    """Write the page and say what is in it.

    Raises:
        UserError: none of the runs can be read.
    """
    runs: list[RunSummary] = []
    failures: dict[Path, str] = {}
    for folder in run_folders(patterns):
        try:
            runs.append(summary_of(folder))
        except UserError as error:
            failures[folder] = str(error)
            print(printable(f"left out: {error}"), file=sys.stderr)
    if not runs:
        raise UserError(f"runs={','.join(patterns)}: none of the {len(failures)} runs can be read")
    write_report(runs, out, failures)
    print(f"{len(runs)} runs in {out} ({out.stat().st_size / 1e6:.1f} MB)")


def main() -> None:
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(__doc__)
        return
    with told_in_a_sentence(sys.argv[1:]):
        report(*asked_by(sys.argv[1:]))


if __name__ == "__main__":
    main()
