import io
import itertools
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from training_toys import train

from genmodels.training import RunProgress


def run(folder: Path, terminal: bool, every_seconds: float = 1e9) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=120, soft_wrap=True, highlight=False)
    train(folder, max_epochs=2, extra=[RunProgress(every_seconds, console)])
    return output.getvalue()


def test_plain_lines_after_every_validation(tmp_path: Path) -> None:
    lines = run(tmp_path, terminal=False).splitlines()
    pattern = r"step {}/8  bits_per_dim \d\.\d{{3}}  val \d\.\d{{3}}  \d+ images/s  ETA \d:\d\d:\d\d"
    assert len(lines) == 2
    assert re.fullmatch(pattern.format(4), lines[0])
    assert re.fullmatch(pattern.format(8), lines[1])


def test_plain_lines_between_validations(tmp_path: Path) -> None:
    lines = run(tmp_path, terminal=False, every_seconds=0.0).splitlines()
    assert [re.match(r"step (\d)/8", line)[1] for line in lines] == list("12345678")  # type: ignore[index]


def test_at_the_end_of_a_resumed_run_no_time_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that takes an hour for every look."""
    train(tmp_path, max_epochs=1)
    clock = SimpleNamespace(monotonic=itertools.count(step=3600).__next__)
    monkeypatch.setattr("genmodels.training.callbacks.run_progress.time", clock)
    output = io.StringIO()
    progress = RunProgress(1e9, Console(file=output, width=120, soft_wrap=True, highlight=False))
    train(tmp_path, resume=True, max_epochs=2, extra=[progress])
    assert output.getvalue().splitlines()[-1].endswith("ETA 0:00:00")


def test_a_bar_in_a_terminal(tmp_path: Path) -> None:
    output = run(tmp_path, terminal=True)
    assert "8/8" in output
    assert re.search(r"val \d\.\d{3}", output)
    assert "\x1b[?25l" in output
    assert "\x1b[?25h" in output, "the cursor must come back"


def test_nothing_but_the_run_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(tmp_path, max_epochs=1)
    train(tmp_path, resume=True, max_epochs=2)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == ""


def test_a_number_of_steps_that_epochs_cut_short_is_told(tmp_path: Path) -> None:
    output = io.StringIO()
    console = Console(file=output, width=120, soft_wrap=True, highlight=False)
    train(tmp_path / "cut", max_epochs=2, max_steps=20, extra=[RunProgress(1e9, console)])
    first, *others = output.getvalue().splitlines()
    assert first == "trainer.max_epochs=2 ends this run after 8 steps, before trainer.max_steps=20"
    assert len(others) == 2
    output.truncate(0)
    train(tmp_path / "whole", max_epochs=2, max_steps=8, extra=[RunProgress(1e9, console)])
    assert "ends this run" not in output.getvalue()
