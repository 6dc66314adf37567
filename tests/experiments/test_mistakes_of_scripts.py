"""A mistake in a script's arguments is a sentence on stderr, as at the doors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ROOT


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("elbo_surgery.py --runs nowhere", "run=nowhere: there is no such folder"),
        ("gan_stability.py optimizer.rl=3", "unknown key optimizer.rl: optimizer takes"),
        ("conditional_generation.py out nowhere", "run=nowhere: there is no such folder"),
        ("irevnet_classifier.py out mnist nowhere", "MNIST not found: looked for"),
        ("reproduce.py table=iwae budget=smoke rows={a:1}", "rows must be a list (each text)"),
    ],
)
def test_is_a_sentence(line: str, sentence: str, tmp_path: Path) -> None:
    script, *arguments = line.split()
    done = subprocess.run(
        [sys.executable, str(ROOT / "experiments" / script), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
