"""A paper's table: train what it still lacks, and set published and measured figures side by side.

    python experiments/reproduce.py table=<name> budget=smoke|laptop|gpu_hour|paper

Keys, written key=value:
    table=<name>           one of those below, or a file of your own, table=my/table.yaml (needed)
    budget=<name>          smoke: 20 CPU seconds of training a cell; laptop: at most 15 CPU minutes a row, and
                           90 CPU minutes of training a table, which its cells share;
                           gpu_hour: an hour on a GPU a cell; paper: the recipes as they stand (needed)
    rows=[<row>,<row>]     only these; `list=true` tells their names
    columns=[<column>]     only these
    seeds=[0]              a run for each, the cell is their mean
    data_dir=data          where data sets lie
    download=false         true: fetch what is missing, where that is possible
    launcher=null          runs through a Hydra launcher: joblib, submitit_slurm, ...; its keys follow as they are
    output_dir=outputs     of the runs: <output_dir>/tables/<table>/<budget>/<row>__<column>
    results=<folder>       of the tables: <results>/<table>/<budget>/, by default experiments/results
    list=false             true: say what the table is and what is finished, and run nothing

Finished runs are kept, unfinished ones go on where they stopped (Ctrl-C leaves a checkpoint), a row whose recipe has
changed is run again, and one that fails is told with its log while the others go on. Written are table.json,
table.md and table.png. docs/tables.md says more.

Examples:
    python experiments/reproduce.py table=all_families budget=smoke columns=[digits]
    python experiments/reproduce.py table=flowpp_table1 budget=laptop rows=[glow,flowpp] data_dir=~/data
    python experiments/reproduce.py table=maf_tabular budget=gpu_hour launcher=joblib hydra.launcher.n_jobs=2

Tables:
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genmodels.cli import told_in_a_sentence
from genmodels.config.script_keys import read_keys
from genmodels.errors import UserError
from genmodels.files import write_text
from genmodels.tables import (
    Asked,
    Table,
    budget_of,
    chosen,
    collect,
    draw,
    has_changed,
    in_markdown,
    jobs_of,
    load_table,
    run_jobs,
    tables_in,
)

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Keys:
    """Those of the command line, as `--help` explains them."""

    table: str
    budget: str
    rows: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=lambda: [0])
    data_dir: str = "data"
    download: bool = False
    launcher: str | None = None
    output_dir: str = "outputs"
    results: str = str(HERE / "results")
    list: bool = False  # the last: it hides the type from those below


def asked_by(arguments: Sequence[str]) -> tuple[Keys, tuple[str, ...]]:
    """The command line, read: our own keys, and those of Hydra's launcher as they were typed.

    Raises:
        UserError: a key that does not exist, or a value that is none.
    """
    own, others = read_keys(Keys, arguments, passed="hydra.")
    if not own.seeds or min(own.seeds) < 0 or len(set(own.seeds)) < len(own.seeds):
        raise UserError(f"seeds must be different whole numbers from 0 on, seeds=[0,1,2], got {own.seeds}")
    return own, others


def table_of(name: str) -> Table:
    """Of that name in experiments/tables, or of that file."""
    return load_table(Path(name) if str(name).endswith(".yaml") else HERE / "tables" / f"{name}.yaml")


def main() -> None:
    if {"--help", "-h"} & set(sys.argv[1:]):
        listed = tables_in(HERE / "tables")
        print((__doc__ or "") + "\n".join(f"    {name:<20} {title}" for name, title in listed.items()))
        return
    with told_in_a_sentence([], goes_on=True):
        sys.exit(_main(sys.argv[1:]))


def _main(arguments: Sequence[str]) -> int:
    own, hydra = asked_by(arguments)
    table, budget = table_of(own.table), budget_of(own.budget)
    rows, columns = chosen(own.rows, table.rows, "rows"), chosen(own.columns, table.columns, "columns")
    root = Path(own.output_dir).expanduser() / "tables"
    out = Path(own.results).expanduser() / table.name / budget.name
    where = [str(Path(path).expanduser().absolute()) for path in (own.output_dir, own.data_dir, HERE.parent)]

    jobs = [] if own.list else jobs_of(table, rows, columns, own.seeds, budget, root)
    at_work = {job.folder.path for job in jobs}
    others = jobs_of(table, list(table.rows), list(table.columns), own.seeds, budget, root)
    changed = {job.folder.path for job in others if job.folder.path not in at_work and has_changed(job, table.metrics)}

    def collected() -> dict[str, Any]:
        return collect(table, own.seeds, budget, root, where, changed)

    def write() -> dict[str, Any]:
        found = collected()
        write_text(out / "table.json", json.dumps(found, indent=1) + "\n")
        write_text(out / "table.md", in_markdown(found))
        draw(found, out / "table.png")
        return found

    if own.list:
        print(in_markdown(collected()))
        print("rows: " + ", ".join(table.rows))
        return 0
    asked = Asked(own.data_dir, own.download, own.launcher, hydra)
    told = run_jobs(jobs, table.metrics, asked, after=write)
    print(in_markdown(write()))
    for line in told:
        print(line, file=sys.stderr)
    print(f"table: {out}")
    return 1 if told else 0


if __name__ == "__main__":
    main()
