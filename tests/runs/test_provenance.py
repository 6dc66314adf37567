"""What run.json says of the code."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from genmodels.runs import provenance as module
from genmodels.runs.provenance import provenance


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository laid out as this one, with everything committed, whose code asks for its provenance."""
    for name in ("genmodels/__init__.py", "genmodels/runs/provenance.py", "train.py", "README.md"):
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one\n\n")
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-qm", "all")):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", "-C", tmp_path / "project", *identity, *arguments], check=True)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "project" / "genmodels" / "runs" / "provenance.py"))
    return tmp_path / "project"


def _git(project: Path) -> dict[str, Any]:
    (project / "outputs").mkdir(exist_ok=True)
    return provenance(project / "outputs")["git"]


def test_data_and_runs_are_no_difference(project: Path) -> None:
    for name in ("data/x.py", "outputs/config.yaml", "genmodels/cache.bin", "experiments/results/a.png"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("new")
    git = _git(project)
    assert (git["dirty"], len(git["commit"]), "diff" in git) == (False, 40, False)
    assert not (project / "outputs" / "uncommitted.diff").exists()


@pytest.mark.parametrize(
    "name", ["train.py", "genmodels/new.py", "conf/model/new.yaml", "new.py", "experiments/a/b.py"]
)
def test_the_difference_is_kept_and_gives_the_code_back(name: str, project: Path) -> None:
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("two = 'ä'\n\n")
    git = _git(project)
    assert (git["dirty"], git["diff"]) == (True, "uncommitted.diff")
    subprocess.run(["git", "-C", project, "checkout", "-q", "."], check=True)
    if name != "train.py":
        path.unlink()
    subprocess.run(["git", "-C", project, "apply", "outputs/uncommitted.diff"], check=True)
    assert path.read_text() == "two = 'ä'\n\n"


def test_what_is_staged_is_a_difference_too(project: Path) -> None:
    (project / "train.py").write_text("two\n\n")
    subprocess.run(["git", "-C", project, "add", "train.py"], check=True)
    assert _git(project)["dirty"]
    assert "+two\n" in (project / "outputs" / "uncommitted.diff").read_text()


def test_each_part_of_a_run_keeps_its_own_difference(project: Path) -> None:
    names = []
    for number in range(3):
        (project / "train.py").write_text(f"{number}\n")
        names.append(_git(project)["diff"])
    assert names == ["uncommitted.diff", "uncommitted_2.diff", "uncommitted_3.diff"]
    assert "+1\n" in (project / "outputs" / "uncommitted_2.diff").read_text()


def test_a_large_difference_is_cut(project: Path) -> None:
    (project / "new.py").write_text("# line\n" * 300_000)
    text = (project / "outputs" / _git(project)["diff"]).read_text()
    assert 1_000_000 < len(text) < 1_000_100
    assert text.startswith("diff --git a/new.py")
    assert "characters in all" in text[-60:]


def test_an_installed_copy_below_somebody_elses_repository(project: Path) -> None:
    subprocess.run(["git", "-C", project, "rm", "-q", "--cached", "genmodels/__init__.py"], check=True)
    assert provenance(project)["git"] is None
