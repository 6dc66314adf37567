"""The package as `pip install .` leaves it, used far from the clone."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import ROOT

pytestmark = pytest.mark.slow
pytest.importorskip("hatchling")

TINY = ("model=nice_small", "model.width=8", "trainer.max_steps=2", "logger=csv")
Shell = Callable[..., str]


def _environment(folder: Path, *options: str) -> Path:
    """A virtual environment with the project in it, which sees the packages of this one; returns its programs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    Path(paths["purelib"], "parent.pth").write_text("\n".join(path for path in sys.path if "site-packages" in path))
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--ignore-installed", *options, str(ROOT)], check=True)
    return programs


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _environment(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def shell(programs: Path, tmp_path: Path) -> Shell:
    """Runs an installed program in an empty folder and returns what it prints."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(program: str, *arguments: str) -> str:
        command = [str(programs / program), *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_commands_work_in_an_empty_folder(shell: Shell, programs: Path, tmp_path: Path) -> None:
    printed = shell("genmodels-train", *TINY, "trainer=cpu")
    (run,) = tmp_path.glob("outputs/nice_small-digits/*")
    assert f"genmodels-evaluate run={run.relative_to(tmp_path)}" in printed
    assert "test/bits_per_dim" in shell("genmodels-evaluate", f"run={run}", "max_images=20")
    assert "n.png" in shell("python", "-m", "genmodels", "sample", f"run={run}", "n=4", f"out={tmp_path / 'n'}")
    assert {path.name for path in tmp_path.iterdir()} == {"outputs", "n.png", "n.npz"}


def test_several_processes_and_the_users_own_choices(shell: Shell, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "model"
    mine.mkdir(parents=True)
    (mine / "tiny.yaml").write_text("defaults: [nice_small, _self_]\nwidth: 12\n")
    shell("genmodels-train", "--config-dir", "mine", *TINY, "model=tiny", "trainer=ddp_cpu")
    (config,) = tmp_path.glob("outputs/tiny-digits/*/config.yaml")
    assert "width: 8" in config.read_text()


def test_help_speaks_of_the_program_at_hand(shell: Shell) -> None:
    for door in ("train", "evaluate", "sample", "compare", "sweep"):
        assert f"  genmodels-{door} " in shell(f"genmodels-{door}", "--help")
        assert f"  python -m genmodels {door} " in shell("python", "-m", "genmodels", door, "--help")


def test_beside_a_clone_the_real_package_is_found(tmp_path: Path) -> None:
    """The clone's folder has the package's name and no __init__.py."""
    programs = _environment(tmp_path / "environment", "--editable")
    (tmp_path / "genmodels").mkdir()
    program = [str(programs / "python"), "-c", "import genmodels; print(genmodels.compose, genmodels.__file__)"]
    found = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert found.strip().endswith(str(ROOT / "genmodels" / "__init__.py"))
