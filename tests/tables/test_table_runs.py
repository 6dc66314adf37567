"""A table trained end to end: interrupted, completed, changed; and what its files say of the runs."""

import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from genmodels.tables import budgets, running
from genmodels.tables.budgets import Budget
from genmodels.tables.collect import figure_in
from genmodels.tables.definition import Shown
from genmodels.tables.plan import CellFile

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
TINY = Budget("tiny", 2.0, False, "cpu", False, 16, 16, 20, 1, 20)
ROWS: list[dict[str, Any]] = [
    {"name": "One", "model": "nice_small", "data": "digits"},
    {
        "name": "Two",
        "model": "nice_small",
        "data": "digits",
        "overrides": ["model.width=64", "callbacks.checkpoints.every_n_steps=30"],
    },
    {"name": "Elsewhere", "model": "nice_small", "data": "svhn"},
    {"name": "Later", "missing": "nobody has written it"},
]


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Place:
    """A table in a folder of its own, and what `reproduce.py` makes of it."""

    folder: Path
    call: Callable[..., Done]

    def write(self, rows: list[dict[str, Any]]) -> None:
        content = {"title": "Tiny", "figures": [{"figure": "bits_per_dim", "title": "bits/dim"}], "rows": rows}
        (self.folder / "mine.yaml").write_text(yaml.safe_dump(content))

    def run(self, *arguments: str) -> Done:
        return self.call(
            f"table={self.folder / 'mine.yaml'}",
            "budget=tiny",
            f"output_dir={self.folder / 'outputs'}",
            f"results={self.folder / 'results'}",
            f"data_dir={self.folder / 'data'}",
            *arguments,
        )

    def cell(self, row: str) -> Path:
        return self.folder / "outputs" / "tables" / "mine" / "tiny" / row

    def plan(self, row: str) -> dict[str, Any]:
        return json.loads((self.cell(row) / "cell.json").read_text())

    def record(self, row: str) -> dict[str, Any]:
        return json.loads((self.cell(row) / "run.json").read_text())

    @property
    def table(self) -> dict[str, Any]:
        return json.loads((self.folder / "results" / "mine" / "tiny" / "table.json").read_text())

    @property
    def markdown(self) -> list[list[str]]:
        """Every table line's cells."""
        lines = (self.folder / "results" / "mine" / "tiny" / "table.md").read_text().splitlines()
        return [[text.strip() for text in line.split("|")[1:-1]] for line in lines if line.startswith("|")]


@pytest.fixture
def reproduce(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    monkeypatch.setitem(budgets.BUDGETS, "tiny", TINY)
    return importlib.import_module("reproduce")


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C reaches this process, also where a shell has started it in the background with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def place(
    tmp_path: Path, reproduce: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Place:
    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["reproduce.py", *arguments])
        with pytest.raises(SystemExit) as end:
            reproduce.main()
        printed = capsys.readouterr()
        return Done(int(end.value.code or 0), printed.out, printed.err)

    place = Place(tmp_path, call)
    place.write(ROWS)
    return place


def interrupt_once(file: Path) -> threading.Thread:
    """Ctrl-C to this process as soon as the file is there."""

    def wait() -> None:
        for _ in range(6000):
            if file.exists():
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.02)

    watcher = threading.Thread(target=wait)
    watcher.start()
    return watcher


@pytest.mark.usefixtures("ctrl_c")
def test_a_table_is_interrupted_completed_and_changed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = interrupt_once(place.cell("two") / "checkpoints" / "last.ckpt")
    done = place.run()
    watcher.join()
    assert done.code == 130
    assert done.err.splitlines()[-1] == "interrupted: the same command goes on from here"
    assert "0 of 3 runs are finished already, 1 have no data" in done.out
    told = [line.split(", about")[0] for line in done.out.splitlines() if line.startswith("[")]
    assert told == ["[1/2] one", "[2/2] two"]
    assert (place.record("one")["status"], place.record("two")["status"]) == ("finished", "interrupted")
    first, length = (place.cell("one") / "checkpoints" / "last.ckpt").stat().st_mtime_ns, place.plan("two")["length"]

    done = place.run("rows=[one,two]")
    assert (done.code, done.err) == (0, "")
    assert "1 of 2 runs are finished already" in done.out
    assert place.plan("two")["length"] == length
    assert f"trainer.max_steps={place.record('two')['steps']}" in length
    assert "+callbacks.time_limit.seconds=7.4" in length  # 120% of two seconds, and five
    assert len(place.record("two")["earlier"]) == 1  # went on, and not from the beginning
    assert [part["exit"] for part in place.plan("two")["parts"]] == [130, 0]
    assert (place.cell("one") / "checkpoints" / "last.ckpt").stat().st_mtime_ns == first
    check_agreement(place)

    second = (place.cell("two") / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    place.write([ROWS[0] | {"overrides": ["optimizer.lr=0.01"]}, *ROWS[1:]])
    changed = "changed: the finished run is of another recipe or length, and the row will begin anew"
    assert f"- One: {changed}" in place.run("list=true").out.splitlines()
    begun: list[str] = []
    monkeypatch.setattr(running, "run_cell", lambda folder, *location: begun.append(folder))
    place.run("rows=[two]")
    assert begun == []
    cells = {cell["row"]: (cell["status"], len(cell["runs"])) for cell in place.table["cells"]}
    assert (cells["one"], cells["two"]) == (("changed", 0), ("finished", 1))
    place.run("rows=[one,two]")
    assert begun == [str(place.cell("one"))]
    assert (place.cell("two") / "checkpoints" / "last.ckpt").stat().st_mtime_ns == second
    (before,) = place.cell("one").parent.glob("one.before-*")
    assert (before / "checkpoints" / "last.ckpt").stat().st_mtime_ns == first
    assert "optimizer.lr=0.01" in place.plan("one")["overrides"]
    assert {cell["row"]: cell["status"] for cell in place.table["cells"]}["one"] == "not run"


def check_agreement(place: Place) -> None:
    """Markdown, JSON and run folders say the same."""
    cells = {cell["row"]: cell for cell in place.table["cells"]}
    statuses = {row: (cell["status"], cell["reason"]) for row, cell in cells.items()}
    assert statuses == {
        "one": ("finished", None),
        "two": ("finished", None),
        "elsewhere": ("no data", "svhn is not at hand"),
        "later": ("missing", "nobody has written it"),
    }
    shown = {row[0]: row[1] for row in place.markdown if len(row) == 2}
    runs = {row[0]: row for row in place.markdown if len(row) > 2}
    assert (shown["Elsewhere"], shown["Later"]) == ("no data", "missing")
    for row, title in (("one", "One"), ("two", "Two")):
        (figure,) = json.loads((place.cell(row) / "metrics.json").read_text()).values()
        (run,), record = cells[row]["runs"], place.record(row)
        assert cells[row]["figures"]["bits/dim"]["value"] == figure["mean"] == run["figures"]["bits/dim"]["value"]
        assert shown[title] == f"≤ {figure['mean']:.3f} ± {figure['standard_error']:.3f} (tiny)"
        assert (run["steps"], run["parameters"], run["run_id"]) == tuple(
            record[key] for key in ("steps", "parameters", "wandb_id")
        )
        assert (run["git"]["commit"], run["images_seen"]) == (record["git"]["commit"], 16 * record["steps"])
        spent = sum(part["cpu_seconds"] for part in place.plan(row)["parts"])
        assert run["cpu_hours"] * 3600 == pytest.approx(spent, abs=0.05)
        assert run["command"].startswith("python train.py model=nice_small data=digits")
        assert str(place.folder) not in json.dumps(place.table)
        assert runs[title][3:6] == [f"{record['parameters']:,}", f"{record['steps']:,}", f"{16 * record['steps']:,}"]
    assert (place.folder / "results" / "mine" / "tiny" / "table.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_goes_on_past_a_row_that_fails(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: str, *location: str) -> None:
        (Path(folder) / "log.txt").write_text(f"it began\nout of memory in {place.folder}/outputs/here\n")
        CellFile(Path(folder)).update(parts=[{"cpu_seconds": 1.0, "exit": 2}])

    monkeypatch.setattr(running, "run_cell", fail)
    done = place.run("rows=[one,two]")
    assert done.code == 1
    for row in ("one", "two"):
        assert f"{row} is not finished: out of memory" in done.err
        assert f"its log: {place.cell(row) / 'log.txt'}" in done.err
    assert {cell["row"]: (cell["status"], cell["reason"]) for cell in place.table["cells"]}["two"] == (
        "failed",
        "out of memory in here",
    )


def test_overrides_that_do_not_go_together_name_their_row(place: Place) -> None:
    place.write([{"name": "One", "model": "nice_small", "data": "digits", "overrides": ["model.widht=3"]}])
    done = place.run()
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("one: unknown key model.widht: did you mean model.width?")


@pytest.mark.slow
def test_cells_run_through_a_launcher(place: Place) -> None:
    broken = {"name": "Broken", "model": "glow_small", "data": "digits", "overrides": ["model.num_scales=9"]}
    place.write([broken, *ROWS])
    done = place.run("rows=[broken,one]", "seeds=[0,1]", "launcher=joblib", "hydra.launcher.n_jobs=2")
    assert done.code == 1
    assert "4 runs through the launcher joblib" in done.out
    assert done.err.count("is not finished: model.num_scales=9") == 2
    assert f"its log: {place.cell('broken') / 'log.txt'}" in done.err
    assert {cell["row"]: cell["status"] for cell in place.table["cells"]}["broken"] == "failed"
    (cell,) = (cell for cell in place.table["cells"] if cell["row"] == "one")
    values = [run["figures"]["bits/dim"]["value"] for run in cell["runs"]]
    assert [run["seed"] for run in cell["runs"]] == [0, 1]
    assert cell["figures"]["bits/dim"]["value"] == pytest.approx(sum(values) / 2)
    assert cell["figures"]["bits/dim"]["standard_error"] == pytest.approx(abs(values[0] - values[1]) / 2)
    assert any("(tiny, 2 seeds)" in text for row in place.markdown for text in row)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["table=iwea", "budget=smoke"], "did you mean iwae?"),
        (["table=iwae"], "budget is missing: give budget=<value>"),
        (["table=iwae", "budget=smok"], "budget=smok does not exist: did you mean smoke?"),
        (["table=iwae", "budget=smoke", "rows=[vae]"], "rows=vae does not exist"),
        (["table=iwae", "budget=smoke", "column=one"], "unknown key column: did you mean columns?"),
        (["table=iwae", "budget=smoke", "seeds=[0,0]"], "seeds must be different whole numbers from 0 on"),
        (["table=iwae", "budget=smoke", "data_dir=null"], "data_dir must be text, got null"),
        (["table=iwae", "budget=smoke", "seeds=[x]"], "seeds must be a list (each an integer)"),
    ],
)
def test_a_mistake_on_the_command_line(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = place.call(*arguments)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "outputs").exists()


def test_help_lists_the_tables(
    reproduce: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "--help"])
    reproduce.main()
    listed = capsys.readouterr().out
    for file in (EXPERIMENTS / "tables").glob("*.yaml"):
        assert file.stem in listed.split("Tables:")[1]


def entry(name: str, mean: float, samples: int | None, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "mean": mean,
        "standard_error": 0.5,
        "unit": "bits/dim",
        "direction": "lower",
        "kind": "bound",
        "num_examples": 10,
        "split": "test",
        "weights": "raw",
        "step": 1,
        "protocol": {"importance_samples": samples},
        "other_units": {},
        "parts": {},
    } | more


def test_which_figure_is_shown_and_in_which_unit() -> None:
    nats = {"other_units": {"nats": 20.0}}
    metrics = {"a": entry("bits_per_dim", 4.0, 1, **nats), "b": entry("bits_per_dim", 2.0, 16, **nats)}
    found = figure_in(metrics, Shown("bits_per_dim", "x"))
    assert found is not None
    assert (found["value"], found["importance_samples"]) == (2.0, 16)  # of the largest K
    found = figure_in(metrics, Shown("nll", "x"))
    assert found is not None
    assert (found["value"], found["standard_error"], found["unit"]) == (20.0, 5.0, "nats")
    parts = {"c": entry("elbo_surgery", 1.0, None, parts={"average KL": [7.0, 0.1]})}
    found = figure_in(parts, Shown("elbo_surgery", "x", "average KL"))
    assert found is not None
    assert (found["value"], found["standard_error"], found["kind"]) == (
        7.0,
        0.1,
        "estimate",
    )  # no bound, as the whole is
    assert figure_in({"d": entry("fid_small", 3.0, None)}, Shown("fid", "x")) is not None
    assert figure_in(metrics, Shown("fid", "x")) is None
