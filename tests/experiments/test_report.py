"""The front door of the report."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from genmodels.config.compose import compose
from genmodels.runs.folder import RunFolder

pytest.importorskip("jinja2")
pytest.importorskip("plotly")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the script; returns exit code, stdout and stderr."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "experiments"))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["report.py", *arguments])
        code = 0
        try:
            importlib.import_module("report").main()
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_a_damaged_run_is_named_and_the_others_shown(run: Run, tmp_path: Path) -> None:
    for name in ("good", "bad"):
        folder = RunFolder(tmp_path / "outputs" / name)
        folder.write_config(compose(["model=nice_small"]))
        folder.update_record(steps=20)
    (tmp_path / "outputs" / "bad" / "run.json").write_text("{")
    out = tmp_path / "new" / "page.html"
    code, printed, told = run(f"runs={tmp_path}/outputs/*", f"out={out}")
    assert (code, printed.split(" (")[0]) == (0, f"1 runs in {out}")
    assert told.startswith(f"left out: {tmp_path}/outputs/bad/run.json is not valid JSON")
    assert "bad/run.json is not valid JSON" in out.read_text()
    code, _, told = run(f"runs={tmp_path}/outputs/bad", f"out={out}")
    assert (code, told.splitlines()[-1]) == (2, f"runs={tmp_path}/outputs/bad: none of the 1 runs can be read")


def test_mistakes(run: Run, tmp_path: Path) -> None:
    for arguments, sentence in (
        ([], "runs is missing: give runs=<value>, see --help"),
        (["rnus=outputs"], "unknown key rnus: did you mean runs?"),
        (
            [f"runs={tmp_path}"],
            f"runs={tmp_path} finds no run folder: name some, or a folder above them, as in runs=outputs",
        ),
    ):
        code, _, told = run(*arguments)
        assert (code, told.strip()) == (2, sentence)
