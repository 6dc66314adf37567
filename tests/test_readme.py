"""docs/extending.md, done as it says by a user outside the clone."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from command_line import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_add_something(tmp_path: Path) -> None:
    section = (ROOT / "docs" / "extending.md").read_text()
    commands: list[str] = []
    for language, text in BLOCK.findall(section):
        if language == "sh":
            commands += text.splitlines()
        else:
            file = tmp_path / text.splitlines()[0].removeprefix("# ")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    assert len(commands) == 3
    printed = [_run(command, tmp_path) for command in commands]
    assert "DONE AFTER" in printed[0]
    figures = json.loads((tmp_path / "my_run" / "metrics.json").read_text())
    likelihood, brightness = figures["test/bits_per_dim K=1"], figures["test/brightness"]
    # Pixels on their own can do no better than two bits, and learn no more than the marginals.
    assert 1.9 < likelihood["mean"] < 2.1
    assert abs(brightness["mean"] - 1.5) < 0.1
    assert "(estimate, 1,000 samples)" in "".join(printed)
    assert re.search(r"\(exact, [\d,]+ examples\)", "".join(printed))
    assert list((tmp_path / "my_run" / "samples").glob("sample_n16*.png"))


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
