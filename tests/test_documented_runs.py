"""README and the pages of docs/, typed: every command runs, made short, or stands in a list with the reason why not.

tests/support/shortened.py holds that list, and what each kind of command is made short by. Commands of a page run one
after another in a folder of their own, beside small copies of data sets in their true formats.
"""

import re
from pathlib import Path

import pytest
import shortened
import tiny_files
from command_line import ROOT
from documented import Command, commands_of, pages
from reader import Reader

from genmodels.data.sources.mnist import FashionMNIST

PAGES = [page for page in pages() if commands_of(page)]
COMMANDS = [command for page in PAGES for command in commands_of(page)]
STORIES = [page for page in PAGES if page.parent.name == "book"]
FIRST = {command.text: command for command in reversed(COMMANDS)}
ON_REAL_DATA = [command for command in COMMANDS if re.search(shortened.REAL_DATA, command.text)]


def test_every_reason_is_that_of_a_command() -> None:
    stale = {start for start in shortened.NOT_RUN if not any(shortened.reason(c, start) for c in COMMANDS)}
    assert not stale
    scripts = {name for name in shortened.SCRIPTS if not any(f"/{name}.py" in c.text for c in COMMANDS)}
    assert not scripts


def test_a_command_that_nobody_listed_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reader = Reader(tmp_path, False, capsys)
    assert "neither" in reader.follow(Command("page.md", 1, "python experiments/new_figure.py figure.png"))
    assert "neither" in reader.follow(Command("page.md", 2, "npm install"))


@pytest.mark.parametrize("command", FIRST.values(), ids=str)
def test_every_script_is_run_or_listed(command: Command) -> None:
    """Told at once, and not by the slow tests alone."""
    script = re.match(r"python experiments/(?:benchmarks/)?(\w+)\.py", command.text)
    assert script is None or script[1] in {*shortened.SCRIPTS, "sweep"} or shortened.reason(command)


def to_type(page: Path) -> list[Command]:
    """Of a story everything, of another page what stands on none before it or depends on the run before it."""
    name = page.relative_to(ROOT).as_posix()
    return [
        command
        for command in commands_of(page)
        if not shortened.reason(command) and command not in ON_REAL_DATA
        if page in STORIES or FIRST[command.text].page == name or "<run folder>" in command.text
    ]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    copy_data_sets(tmp_path / "data", monkeypatch)
    reader = Reader(tmp_path, page in STORIES, capsys)
    wrong = {str(command): reader.follow(command) for command in to_type(page)}
    assert not {command: told for command, told in wrong.items() if told}


@pytest.mark.slow
@pytest.mark.parametrize("command", ON_REAL_DATA, ids=str)
def test_the_commands_on_real_data_run(
    command: Command,
    real_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(real_data)
    assert not Reader(tmp_path, False, capsys).follow(command)


def copy_data_sets(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_files.write_mnist(root, monkeypatch, training=1100)  # elbo_surgery.py takes a thousand at a time
    tiny_files.write_mnist(root, monkeypatch, FashionMNIST)
    tiny_files.write_static_mnist(root, monkeypatch)
    tiny_files.write_cifar10(root, monkeypatch)
