"""Many runs on one page: a leaderboard, their curves, their samples, and how two of them differ.

    python experiments/report.py runs=outputs                                # every run below a folder
    python experiments/report.py runs='outputs/glow_small-digits/*' out=glow.html
    python experiments/report.py runs='[outputs/tables,multirun/2026-11-26]'

The page (by default report.html) holds all it shows and needs no network; see docs/report.md. A run that cannot be read
is named there and left out.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genmodels.cli import told_in_a_sentence
from genmodels.config.script_keys import read_keys
from genmodels.errors import UserError, printable
from genmodels.reports.collect import RunSummary, run_folders, summary_of
from genmodels.reports.page import write_report


@dataclass(frozen=True)
class Keys:
    """Those of the command line: patterns of run folders, and the page to write."""

    runs: list[str]
    out: str = "report.html"


def asked_by(arguments: Sequence[str]) -> Keys:
    """The command line, read.

    Raises:
        UserError: there is no `runs`, or a key that does not exist.
    """
    return read_keys(Keys, arguments)[0]


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
        asked = asked_by(sys.argv[1:])
        report(asked.runs, Path(asked.out).expanduser())


if __name__ == "__main__":
    main()
