"""What we print can be typed as it stands."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ROOT
from hydra.core.override_parser.overrides_parser import OverridesParser

from genmodels.commands import assigned, command, typeable


@pytest.mark.parametrize(
    ("started", "printed"),
    [
        ("train.py", "python evaluate.py"),
        ("clone/train.py", "python clone/evaluate.py"),
        ("/bin/genmodels-train", "genmodels-evaluate"),
        ("/somewhere/genmodels/__main__.py", "python -m genmodels evaluate"),
        ("/somewhere/ipykernel_launcher.py", "python -m genmodels evaluate"),
        ("", "python -m genmodels evaluate"),
    ],
)
def test_a_command_has_the_form_in_which_the_program_was_started(
    started: str, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    assert command("evaluate") == printed


def test_the_doors_of_a_clone_find_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["clone/train.py"])
    assert command("sweep") == "python clone/experiments/sweep.py"
    monkeypatch.setattr(sys, "argv", ["clone/experiments/sweep.py"])
    assert command("train") == "python clone/train.py"
    assert command("sweep") == "python clone/experiments/sweep.py"


def test_a_path_is_relative_where_it_lies_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert typeable(tmp_path / "outputs" / "x") == "outputs/x"
    assert typeable(tmp_path.parent) == str(tmp_path.parent)


@pytest.mark.parametrize(
    "path",
    [
        "outputs/x",
        "my runs/x",
        "run (1)",
        "été",
        "a,b",
        "it's",
        'say "x"',
        "x=1",
        "a\\b",
        "a\\",
        'a\\"b',
        "[x]",
        "a$b;c&d",
    ],
)
def test_a_path_that_is_printed_comes_back_from_the_shell_and_from_hydra(path: str) -> None:
    (typed,) = shlex.split(assigned("run", path))
    (override,) = OverridesParser.create().parse_overrides([typed])
    assert (override.key_or_group, override.value()) == ("run", path)
    assert (assigned("run", path) == f"run={path}") == (path == "outputs/x")


def _without_torch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "torch.py").write_text("raise ImportError")  # what -c finds first
    program = "from genmodels.__main__ import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_something_is_on_the_screen_before_torch_is_loaded(tmp_path: Path) -> None:
    assert _without_torch(tmp_path, "train").stdout == "glow_small-digits: loading torch and Lightning ...\n"


@pytest.mark.parametrize("arguments", [("train", "--help"), ("train", "--cfg", "job"), ("evaluate", "--help")])
def test_help_needs_no_torch(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = _without_torch(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr


def test_the_module_names_its_doors() -> None:
    done = subprocess.run([sys.executable, "-m", "genmodels"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m genmodels train|evaluate|sample|compare|export|sweep ...")
