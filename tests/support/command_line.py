"""Run a front door in this process, as a user would from a shell."""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """How a program ended: exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def mistake(self) -> str:
        """What it told on stderr after a user's mistake; a traceback is none."""
        assert self.code == 2, self
        assert "Traceback" not in self.err, self.err
        return self.err.strip()


def run_program(name: str, *arguments: str, capture: pytest.CaptureFixture[str]) -> Done:
    """`python <name>.py <arguments>`, with the modules that are loaded already."""
    with mock.patch.object(sys, "path", [str(ROOT), *sys.path]):
        program = importlib.import_module(name)
    capture.readouterr()
    code = 0
    with mock.patch.object(sys, "argv", [f"{name}.py", *arguments]):
        try:
            program.main()
        except SystemExit as end:
            code = int(end.code or 0)
    printed = capture.readouterr()
    return Done(code, printed.out, printed.err)
