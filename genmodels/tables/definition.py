"""A table as its YAML says it: rows, columns, and which run each cell is of."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from genmodels.config.checks import Published
from genmodels.config.compose import CONFIG_DIR
from genmodels.config.nodes import argument_errors
from genmodels.config.targets import raise_all
from genmodels.errors import UserError, nearest
from genmodels.tables.budgets import budget_of


@dataclass(frozen=True)
class Source:
    """What a cell is a run of: keys that a row, a column and a cell of the YAML may hold; the last named wins.

    Attributes:
        experiment: of conf/experiment, whose `published` is the cell's published figure, and whose data is the cell's.
        model, data: of conf/model and conf/data, where there is no experiment.
        overrides: keys of train.py; those of the column come before those of the row and of the cell.
        missing: why there can be no run; the cell says so.
        published: a figure of which nothing here is an experiment, so only beside `missing`.
    """

    experiment: str | None = None
    model: str | None = None
    data: str | None = None
    overrides: list[str] = field(default_factory=list)
    missing: str | None = None
    published: Published | None = None


@dataclass(frozen=True)
class Shown:
    """A figure of a run that a table shows.

    Attributes:
        figure: its name in metrics.json; "nll" is also what bits/dim are in nats, and "fid" also "fid_small".
        title: of the column.
        part: the name of one of the figure's parts, in place of its mean.
    """

    figure: str
    title: str
    part: str | None = None


@dataclass(frozen=True)
class ColumnFile(Source):
    title: str = ""


@dataclass(frozen=True)
class RowFile(Source):
    name: str = ""
    group: str = ""
    cells: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TableFile:
    title: str
    figures: list[Any]
    rows: list[Any]
    columns: dict[str, Any] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=list)
    protocol: bool = False
    note: str = ""
    comments: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """A row in a column; `source` is None where the paper has none."""

    row: str
    column: str
    source: Source | None


@dataclass(frozen=True)
class Table:
    """A checked table.

    Attributes:
        name: of its file.
        figures: shown of every run.
        rows: titles by name, in their order; a name is what rows=[...] takes and folders are called by.
        groups: of the rows, by name; "" for none.
        columns: titles by name; one without a name where every row is one run.
        cells: row by row.
        metrics: to measure beside what every run measures.
        protocol: whether to show how published and measured figures were measured.
        note: below the table.
        comments: by budget, where the order of what was measured differs from the paper's, and the likely reason.
    """

    name: str
    title: str
    figures: tuple[Shown, ...]
    rows: dict[str, str]
    groups: dict[str, str]
    columns: dict[str, str]
    cells: tuple[Cell, ...]
    metrics: tuple[str, ...] = ()
    protocol: bool = False
    note: str = ""
    comments: dict[str, str] = field(default_factory=dict)

    @property
    def runnable(self) -> list[Cell]:
        """Cells whose run can be made, if its data is at hand."""
        return [cell for cell in self.cells if cell.source is not None and cell.source.missing is None]


def slug(title: str) -> str:
    """The name of a row: "PixelCNN++" is pixelcnnpp, "MAF (5)" maf_5."""
    return re.sub(r"[^a-z0-9]+", "_", title.lower().replace("+", "p")).strip("_")


def tables_in(folder: Path) -> dict[str, str]:
    """Titles of the tables in a folder, by name."""
    return {file.stem: str(_parsed(file).get("title", "")) for file in sorted(folder.glob("*.yaml"))}


def load_table(file: Path) -> Table:
    """Read and check a table.

    Raises:
        UserError: there is no such file, or it names a key, an experiment, a model or a data set that does not exist.
    """
    if not file.is_file():
        there_is = tables_in(file.parent)
        meant = nearest(file.stem, there_is)
        hint = f"did you mean {meant}?" if meant else f"there is {', '.join(there_is) or 'none'}"
        raise UserError(f"table={file.stem} does not exist in {file.parent}: {hint}")
    plain = _parsed(file)
    raise_all([f"{file.name}: {told}" for told in argument_errors(TableFile, plain)])
    whole = TableFile(**plain)
    for budget in whole.comments:
        try:
            budget_of(budget)
        except UserError as error:
            raise UserError(f"{file.name}: comments: {error}") from error
    columns = {name: _made(ColumnFile, node, f"{file.name}: columns.{name}") for name, node in whole.columns.items()}
    columns = columns or {"": ColumnFile()}
    rows = [_made(RowFile, node, f"{file.name}: rows[{index}]") for index, node in enumerate(whole.rows)]
    names = [slug(row.name) for row in rows]
    for index, name in enumerate(names):
        if not name or name in names[:index]:
            raise UserError(f"{file.name}: rows[{index}].name must be given, and be another than the others'")
    return Table(
        name=file.stem,
        title=whole.title,
        figures=tuple(_made(Shown, node, f"{file.name}: figures[{i}]") for i, node in enumerate(whole.figures)),
        rows={name: row.name for name, row in zip(names, rows, strict=True)},
        groups={name: row.group for name, row in zip(names, rows, strict=True)},
        columns={name: column.title or name for name, column in columns.items()},
        cells=tuple(
            _cell(name, row, columns, c, file.name) for name, row in zip(names, rows, strict=True) for c in columns
        ),
        metrics=tuple(whole.metrics),
        protocol=whole.protocol,
        note=whole.note,
        comments={str(budget): str(said) for budget, said in whole.comments.items()},
    )


def _parsed(file: Path) -> dict[str, Any]:
    try:
        plain = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(plain, dict):
        raise UserError(f"{file} must hold a table: title, figures, rows")
    return {str(key): value for key, value in plain.items()}


def _made(kind: type[Any], node: Any, path: str) -> Any:
    """An object of a dataclass from its mapping; what is a mapping for Published becomes one."""
    if not isinstance(node, Mapping):
        raise UserError(f"{path} must be a mapping, got {node!r}")
    file, _, key = path.partition(": ")
    raise_all([f"{file}: {told}" for told in argument_errors(kind, node, key)])
    made = dict(node)
    if made.get("published") is not None:
        made["published"] = Published(**made["published"])
    return kind(**made)


def _cell(name: str, row: RowFile, columns: Mapping[str, ColumnFile], column: str, file: str) -> Cell:
    path = f"{file}: {name}" + (f", {column}" if column else "")
    for other in row.cells:
        if other not in columns:
            raise UserError(f"{file}: {name}.cells.{other}: the columns are {', '.join(columns)}")
    if row.cells and column not in row.cells:
        return Cell(name, column, None)
    own = row.cells.get(column, {})
    parts = [columns[column], row, _made(Source, {"experiment": own} if isinstance(own, str) else own, path)]
    merged: dict[str, Any] = {"overrides": [override for part in parts for override in part.overrides]}
    for key in ("experiment", "model", "data", "missing", "published"):
        merged[key] = next((value for part in reversed(parts) if (value := getattr(part, key)) is not None), None)
    if merged["experiment"] is not None:
        merged["data"] = None  # it has data of its own
    source = Source(**merged)
    _check(source, path)
    return Cell(name, column, source)


def _check(source: Source, path: str) -> None:
    for group in ("experiment", "model", "data"):
        name = getattr(source, group)
        if name is not None and not (CONFIG_DIR / group / f"{name}.yaml").is_file():
            options = [file.stem for file in (CONFIG_DIR / group).glob("*.yaml")]
            meant = nearest(name, options)
            hint = f"did you mean {meant}?" if meant else "see train.py --help, or say why: missing: <why>"
            raise UserError(f"{path}: there is no {group}={name}: {hint}")
    if source.missing is None and source.published is not None:
        raise UserError(f"{path}: published belongs to the experiment, not to the table, unless the run is missing")
    if source.missing is None and source.experiment is None and (source.model is None or source.data is None):
        raise UserError(f"{path} needs an experiment, or a model and data, or missing: <why>")


def published(source: Source | None) -> dict[str, Any] | None:
    """The figure that a cell reproduces, as its experiment gives it."""
    if source is None:
        return None
    if source.published is not None:
        return dict(vars(source.published))
    if source.experiment is None or source.model is not None:
        return None
    found = yaml.safe_load((CONFIG_DIR / "experiment" / f"{source.experiment}.yaml").read_text()).get("published")
    return dict(found) if found else None


def chosen(names: Iterable[str], there_is: Mapping[str, str], key: str) -> list[str]:
    """Those names, or all where none is given.

    Raises:
        UserError: one of them does not exist.
    """
    for name in names:
        if name not in there_is:
            meant = nearest(name, there_is)
            hint = f"did you mean {meant}?" if meant else f"there is {', '.join(there_is)}"
            raise UserError(f"{key}={name} does not exist: {hint}")
    asked = set(names)
    return [name for name in there_is if not asked or name in asked]
