"""Every density model of vectors on every set of points in the plane: data, density and samples side by side.

    python experiments/gallery.py                                    # all of it, about an hour on one core
    python experiments/gallery.py models=[maf,ffjord] sets=[moons]   # some of it
    python experiments/gallery.py budget=smoke                       # 50 steps each, to see that it runs
    python experiments/gallery.py steps=500 optimizer.lr=0.01 out=outputs/mine   # any key of train.py, for all models

Drawn as Figure 2 of Grathwohl et al. 2019 (FFJORD). The models are the recipes conf/experiment/gallery_<model>.yaml;
any other model=<model> that has a density of vectors can be named, with the settings that they share. Each model and
set is a run in <out>/<model>/<set>, by default below outputs/gallery (outputs/gallery_smoke): given again, the command
goes on where it stopped. Pictures and tables (gallery*.png, gallery.md, gallery.json) are of what was asked for.
"""

import contextlib
import io
import itertools
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gallery_pictures import draw_model, draw_overview, panels_of
from gallery_tables import in_markdown, own_row, row
from hydra.core.override_parser.overrides_parser import OverridesParser

import genmodels
from genmodels.cli import told_in_a_sentence
from genmodels.config.checks import check
from genmodels.config.compose import CONFIG_DIR
from genmodels.config.resuming import same_run
from genmodels.config.targets import build
from genmodels.data.sources.toy2d import DENSITIES
from genmodels.errors import UserError, nearest
from genmodels.files import write_text
from genmodels.models.capabilities import required
from genmodels.models.contract import Density
from genmodels.runs.finished_run import load_run
from genmodels.runs.folder import RunFolder

RECIPES = sorted(file.stem.removeprefix("gallery_") for file in (CONFIG_DIR / "experiment").glob("gallery_*.yaml"))
BUDGETS: dict[str, int | None] = {"laptop": None, "smoke": 50}  # steps; None: the recipe's
QUIET = (
    "trainer=cpu",
    "logger=none",
    *(f"callbacks.{name}=null" for name in ("samples", "curves", "step_metrics", "progress", "invertibility")),
)


@dataclass(frozen=True)
class Asked:
    """What the command line asks for.

    Attributes:
        steps: of every run; None: each recipe's own.
        out: folder of runs, pictures and tables.
        overrides: keys of train.py.
    """

    models: tuple[str, ...]
    sets: tuple[str, ...]
    budget: str
    steps: int | None
    out: Path
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """A model on a set, its run folder and the configuration of the run."""

    model: str
    data: str
    folder: RunFolder
    config: dict[str, Any]


def asked_by(arguments: Sequence[str]) -> Asked:
    """The command line, read.

    Raises:
        UserError: a set or a budget that does not exist, or steps that are none.
    """
    own: dict[str, Any] = {"models": RECIPES, "sets": list(DENSITIES), "budget": "laptop", "steps": None, "out": None}
    others = []
    for override in OverridesParser.create().parse_overrides(list(arguments)):
        if override.key_or_group in own:
            own[override.key_or_group] = override.value()
        else:
            others.append(override.input_line or "")
    models, sets = _names("models", own["models"]), _names("sets", own["sets"])
    budget, steps, out = own["budget"], own["steps"], own["out"]
    for name in sets:
        _known("sets", name, DENSITIES)
    _known("budget", budget, BUDGETS)
    if steps is None:
        steps = BUDGETS[budget]
    elif type(steps) is not int or steps < 1:
        raise UserError(f"steps must be a whole number of at least 1, got {steps}")
    folder = Path("outputs", "gallery" if budget == "laptop" else f"gallery_{budget}")
    return Asked(models, sets, budget, steps, folder if out is None else Path(str(out)), tuple(others))


def _names(key: str, value: Any) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"{key} must be a list of names, {key}=[first,second], got {value}")
    return tuple(dict.fromkeys(names))


def _known(key: str, name: Any, there_is: Iterable[str]) -> None:
    if name not in there_is:
        meant = nearest(str(name), there_is)
        hint = f"did you mean {meant}?" if meant else f"there is {', '.join(there_is)}"
        raise UserError(f"{key}={name} does not exist: {hint}")


def cells_of(asked: Asked) -> list[Cell]:
    """What is to be trained, set by set, held against all that can be wrong with it before anything is.

    Raises:
        UserError: a mistake in the configuration, a model without a density, or a folder of other settings.
    """
    limit = [] if asked.steps is None else [f"trainer.max_steps={asked.steps}"]
    cells = []
    for data, model in itertools.product(asked.sets, asked.models):
        recipe = f"experiment=gallery_{model}"
        chosen = [recipe] if model in RECIPES else ["experiment=base/gallery", f"model={model}"]
        config = genmodels.compose([*chosen, f"data.name={data}", *QUIET, *limit, *asked.overrides])
        if data == asked.sets[0]:
            check(config)
            required(build(config["model"], "model"), Density, f"models=[{model}]")
        cells.append(Cell(model, data, RunFolder(asked.out / model / data), config))
    for cell in cells:
        _check_same(cell)
    return cells


def _check_same(cell: Cell) -> None:
    if (cell.folder.path / "config.yaml").exists():
        saved = cell.folder.read_config()
        lengths = [config["trainer"]["max_steps"] for config in (saved, cell.config)]
        if lengths[0] != lengths[1] or not same_run(saved, cell.config):
            raise UserError(f"{cell.folder.path} holds a run of other settings: choose another out=..., or remove it")


def is_finished(cell: Cell) -> bool:
    return cell.folder.read_record().get("status") == "finished"


def train(cell: Cell) -> None:
    """Begin the run or go on with it; its record keeps the CPU seconds of each part that came to an end.

    Raises:
        UserError: training had to stop.
        Interrupted: it was interrupted, after a checkpoint.
    """
    begin, before = time.process_time(), cell.folder.read_record().get("cpu_seconds", [])
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # what a run says of itself is in its folder
            if cell.folder.last.exists():
                genmodels.train([f"resume={cell.folder.path}"])
            else:
                genmodels.train(cell.config, cell.folder.path)
    finally:
        if cell.folder.path.exists():
            cell.folder.update_record(cpu_seconds=[*before, round(time.process_time() - begin, 1)])


def train_all(cells: Sequence[Cell]) -> Iterator[tuple[Cell, str]]:
    """Train what is not finished, telling how far it is; what failed is given back with its reason."""
    waiting = [cell for cell in cells if not is_finished(cell)]
    if done := len(cells) - len(waiting):
        print(f"{done} of {len(cells)} runs are finished already")
    for number, cell in enumerate(waiting, start=done + 1):
        left = _seconds_left(cells)
        told = "" if left is None else f", {left / 60:.0f} minutes left"
        print(f"[{number}/{len(cells)}] {cell.model} on {cell.data}{told}", flush=True)
        try:
            train(cell)
        except UserError as error:
            print(f"  failed: {error}", file=sys.stderr)
            yield cell, str(error)


def _seconds_left(cells: Sequence[Cell]) -> float | None:
    """By the CPU time of each model's finished runs, or of all where it has none; None before there are any."""
    spent: dict[str, list[float]] = {}
    for cell in filter(is_finished, cells):
        spent.setdefault(cell.model, []).append(sum(cell.folder.read_record().get("cpu_seconds", [])))
    means = {model: sum(seconds) / len(seconds) for model, seconds in spent.items()}
    if not means:
        return None
    typical = sum(means.values()) / len(means)
    return sum(means.get(cell.model, typical) for cell in cells if not is_finished(cell))


def show(asked: Asked, cells: Sequence[Cell], failed: Mapping[tuple[str, str], str]) -> str:
    """Write pictures and tables of what is finished into the folder; returns the table."""
    runs = {(cell.model, cell.data): load_run(cell.folder.path) for cell in cells if is_finished(cell)}
    rows = [row(model, run) for (model, _), run in runs.items()]
    own = [own_row(run) for run in {data: run for (_, data), run in runs.items()}.values()]
    panels = {cell: panels_of(run) for cell, run in runs.items()}
    for model in dict.fromkeys(model for model, _ in panels):
        of_one = {data: panels[model, data] for data in asked.sets if (model, data) in panels}
        draw_model(of_one, asked.out / f"gallery_{model}.png")
    if panels:
        draw_overview(panels, asked.out / "gallery.png")
    label = asked.budget if asked.steps in BUDGETS.values() else f"{asked.steps} steps"
    table = in_markdown(rows, own, label, failed)
    write_text(asked.out / "gallery.md", table)
    failures = [[*cell, reason] for cell, reason in failed.items()]
    whole = {"budget": label, "own": own, "rows": rows, "failed": failures}
    write_text(asked.out / "gallery.json", json.dumps(whole, indent=1) + "\n")
    return table


def main() -> None:
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(__doc__)
        return
    with told_in_a_sentence(sys.argv[1:], goes_on=True):
        asked = asked_by(sys.argv[1:])
        cells = cells_of(asked)
        failed = {(cell.model, cell.data): reason for cell, reason in train_all(cells)}
        print(show(asked, cells, failed))
        print(f"pictures and tables: {asked.out}")
        sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
