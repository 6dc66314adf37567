"""Somebody who types a page's commands one after another in an empty folder, each made short."""

import os
import re
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import shortened
from command_line import ROOT, run_program
from documented import Command, door_of, words

NEEDED = {  # a run that a command can do with, where the page does not say which
    "truncation=": "model=dcgan_small",
    "guidance=": "model=tarflow_small model.conditional=true",
    "complete=": "model=pixelcnn_small",
    "[modes]": "experiment=gan_stability",
    "metrics=[...]": "model=vae_small",
    "<that folder>": "model=nice_small seeds=2",
}
_COPIED = re.compile(r"data=(?!digits|toy2d|energy2d)\w|data\.download|experiment=\w+_(?:mnist|cifar10)")
_IN_THIS_PROCESS = ("elbo_surgery",)  # the only one that knows the checksums of small copies of data sets


class Reader:
    """One of a page.

    Args:
        folder: empty, and the current one.
        story: whether `<run folder>` is the run before it on the page.
    """

    def __init__(self, folder: Path, story: bool, capture: pytest.CaptureFixture[str]) -> None:
        self._folder, self._story, self._capture = folder, story, capture
        self._last: Path | None = None
        self._others: dict[str, Path] = {}
        self._count = 0

    def follow(self, command: Command) -> str:
        """Type it; returns what went wrong, or nothing."""
        program = words(command.text)
        door = door_of(program)
        if door is None and program[:2] == ["python", "experiments/sweep.py"]:
            door = "sweep", program[2:]
        if door is not None and "--help" in door[1]:
            return self._shell(sys.executable, "-m", "genmodels", door[0], *door[1])
        if door is not None:
            return self._door(command, *door)
        if program[0] == "make":
            return self._shell("make", "-C", str(ROOT), *program[1:]) if shutil.which("make") else ""
        name = Path(program[1]).stem
        if program[0] != "python" or name not in shortened.SCRIPTS:
            return "tests/support/shortened.py neither says how it is made short nor why it is not run"
        return self._script(command, Path(program[1]), program[2:])

    def _door(self, command: Command, door: str, arguments: list[str]) -> str:
        resumes = any(word.startswith("resume=") and word != "resume=auto" for word in arguments)
        if door in ("train", "sweep") and not resumes:
            return self._train(door, arguments, command.text)
        filled = [self._filled(word, command.text) for word in arguments]
        more = shortened.RESUME if resumes else shortened.DOORS.get(door, ())
        if resumes and any(word.startswith("seeds=") for word in arguments):
            more = ()  # runs of more seeds, and nothing more of those that are done
        beside = ["devices=2"] if any(word.startswith("devices=") for word in arguments) else []
        return self._program(door, *filled, *more, *beside)

    def _train(self, door: str, arguments: list[str], text: str) -> str:
        more = [*shortened.TRAIN, *(shortened.COPIED if _COPIED.search(text) else ())]
        if _COPIED.search(text) and "mnist_static" not in text:  # which brings a validation set along
            more.append("data.validation=8")
        more += shortened.smaller(text)
        if door == "sweep":
            return self._program("experiments.sweep", *arguments, *more, *shortened.SEARCH)
        folder = self._new()
        kind = "sweep" if "-m" in arguments else "run"
        where = [] if "resume=auto" in arguments else [f"hydra.{kind}.dir={folder}"]
        wrong = self._program(door, *arguments, *more, *where)
        if kind == "run" and where and not any(word.startswith("seeds=") for word in arguments):
            self._last = folder
        return wrong

    def _script(self, command: Command, file: Path, arguments: list[str]) -> str:
        filled = [self._filled(word, command.text) for word in arguments]
        more = () if "--help" in arguments else (*shortened.SCRIPTS[file.stem], *shortened.smaller(command.text))
        if file.stem in _IN_THIS_PROCESS:
            return self._program(f"experiments.{file.stem}", *filled, *more)
        return self._shell(sys.executable, str(ROOT / file), *filled, *more)

    def _filled(self, word: str, text: str) -> str:
        """With folders in place of `<run folder>` and the like."""
        key = word.partition("=")[0]
        if key in ("run", "runs", "resume") and "placeholder" in word:
            return word.replace("placeholder", str(self._run_for(text)))
        if word.startswith("runs=") and not list(self._folder.glob("outputs/glow_small-digits/*")):
            wrong = self._program("train", *shortened.TRAIN)
            assert not wrong, wrong
        return word.replace("placeholder", str(self._new()))

    def _run_for(self, text: str) -> Path:
        if self._story and self._last is not None:
            return self._last
        what = next((what for part, what in NEEDED.items() if part in text), "")
        if what not in self._others:
            self._others[what] = folder = self._new()
            wrong = self._program("train", *what.split(), *shortened.TRAIN, f"hydra.run.dir={folder}")
            assert not wrong, wrong
        return self._others[what]

    def _new(self) -> Path:
        self._count += 1
        return self._folder / str(self._count)

    def _program(self, name: str, *arguments: str) -> str:
        try:
            done = run_program(name, *arguments, capture=self._capture)
        except Exception:  # so that it is told which command it was
            return traceback.format_exc()[-3000:]
        return "" if done.code == 0 else f"exit code {done.code}: {done.err[-3000:]}"

    def _shell(self, *line: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr[-3000:]}"
