"""docs/extending.md, done as it says by a user outside the clone, each section in an empty folder of its own."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = (ROOT / "docs" / "extending.md").read_text()
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_a_model_alone(tmp_path: Path) -> None:
    trained, _ = _follow("A model", tmp_path)
    assert re.search(r"\(exact, [\d,]+ examples\)", trained)
    # Of 4.09 with equal chances; 2.41 is the entropy of all the digits' pixels, each on its own.
    assert 2.3 < _figures(tmp_path / "histogram_run")["test/bits_per_dim K=1"]["mean"] < 2.7
    assert list((tmp_path / "histogram_run" / "samples").glob("sample_n16*.png"))


def test_a_data_set_alone(tmp_path: Path) -> None:
    _follow("A data set", tmp_path)
    assert _figures(tmp_path / "stripes_run")["test/bits_per_dim K=1"]["mean"] < 1.5  # of 2 where rows are not seen


def test_an_objective_alone(tmp_path: Path) -> None:
    _follow("An objective", tmp_path)
    lines = (tmp_path / "smoothed_run" / "metrics.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    assert all(float(row["value"]) > 0 for row in rows if row["name"] == "train/penalty")
    assert {"train/penalty", "val/bits_per_dim"} <= {row["name"] for row in rows}


@pytest.mark.slow  # also in all of them at once
def test_a_metric_alone(tmp_path: Path) -> None:
    _, evaluated = _follow("A metric", tmp_path)
    assert "(estimate, 1,000 samples)" in evaluated
    assert 0 < _figures(tmp_path / "nice_run")["test/brightness"]["mean"] < 16


@pytest.mark.slow  # also in all of them at once
def test_a_callback_alone(tmp_path: Path) -> None:
    (trained,) = _follow("A callback", tmp_path)
    assert "DONE AFTER 100 STEPS" in trained


def test_all_of_them_at_once(tmp_path: Path) -> None:
    for section in SECTIONS:
        _write_files(section, tmp_path)
    trained, _ = _follow("All of them at once", tmp_path)
    assert "DONE AFTER" in trained
    (next_line,) = (line for line in trained.splitlines() if line.startswith("next "))
    assert shlex.split(next_line)[-2:] == ["run=my_run", "plugins=[my_package]"]
    figures = _figures(tmp_path / "my_run")
    # Pixels on their own can do no better than two bits, and learn no more than the marginals.
    assert 1.9 < figures["test/bits_per_dim K=1"]["mean"] < 2.1
    assert abs(figures["test/brightness"]["mean"] - 1.5) < 0.1


@pytest.mark.parametrize("section", SECTIONS)
def test_every_command_is_of_a_section_that_is_followed(section: str) -> None:
    followed = re.findall(r'_follow\("(.+?)"', Path(__file__).read_text())
    assert section in followed or "```" not in SECTIONS[section]


def _follow(section: str, folder: Path) -> list[str]:
    """Write a section's files and run its commands in their order; what each printed."""
    _write_files(section, folder)
    shown = "".join(text for language, text in BLOCK.findall(SECTIONS[section]) if language == "sh")
    return [_run(command, folder) for command in shown.replace("\\\n", " ").splitlines()]


def _write_files(section: str, folder: Path) -> None:
    """Blocks name their file in their first line."""
    for language, text in BLOCK.findall(SECTIONS[section]):
        if language != "sh":
            file = folder / text.splitlines()[0].removeprefix("# ")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


def _figures(run: Path) -> dict[str, dict[str, float]]:
    figures: dict[str, dict[str, float]] = json.loads((run / "metrics.json").read_text())
    return figures


def _run(command: str, folder: Path) -> str:
    """With this Python in place of the installed commands, which a checkout alone does not have."""
    program, *arguments = shlex.split(command)
    line = [sys.executable, "-m", "genmodels", program.removeprefix("genmodels-"), *arguments]
    done = subprocess.run(
        line,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
