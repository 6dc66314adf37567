"""What `sample.py` hands on to a model, and what it refuses because the model has no such choice."""

from pathlib import Path

import numpy as np
import pytest
from command_line import run_program

from genmodels.config.compose import compose
from genmodels.experiment import train

FAST = ["trainer.max_steps=2", "trainer=cpu", "logger=none", "evaluation.max_images=4", "data=digits"]
TARFLOW = ["model=tarflow_small", "model.width=8", "model.num_layers=1", "model.head_width=4", "model.num_blocks=2"]


@pytest.fixture(scope="module")
def tarflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tarflow") / "run"
    train(compose([*TARFLOW, "model.conditional=true", *FAST]), folder)
    return folder


@pytest.fixture(scope="module")
def glow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("glow") / "run"
    train(compose(["model=glow_small", "model.num_steps=1", "model.width=4", *FAST]), folder)
    return folder


def _samples(run: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> np.ndarray:
    _, arrays = run_program("sample", f"run={run}", "n=4", *arguments, capture=capsys).out.split()
    return np.load(arrays)["samples"]


def test_method_and_guidance_reach_the_model(tarflow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = _samples(tarflow, capsys)
    assert (_samples(tarflow, capsys, "method=naive") == plain).mean() > 0.99  # but for rounding
    assert (_samples(tarflow, capsys, "guidance=500") != plain).any()


@pytest.mark.parametrize(
    ("model", "argument", "sentence"),
    [
        ("glow", "method=naive", "method=naive needs a model that draws step by step"),
        ("glow", "method=cached", "method=cached needs a model that draws step by step"),
        ("glow", "guidance=2", "guidance=2 needs a model that can be drawn from with guidance"),
        ("glow", "truncation=2", "truncation=2 needs a model that can be drawn from with truncation"),
        ("tarflow", "truncation=2", "truncation=2 needs a model that can be drawn from with truncation"),
        ("tarflow", "guidance=2 interpolate=true", "guidance=2 does nothing beside interpolate: leave one of them out"),
        ("tarflow", "method=jacobi interpolate=true", "method=jacobi does nothing beside interpolate: "),
        ("glow", "temperature=0.7 interpolate=true", "temperature=0.7 does nothing beside interpolate: "),
        ("glow", "complete=top_half interpolate=true", "complete=top_half does nothing beside interpolate: "),
        ("glow", "complete=top_half labels=3", "labels=3 does nothing beside complete: leave one of them out"),
        ("glow", "complete=top_half truncation=0.5", "truncation=0.5 does nothing beside complete: "),
        ("glow", "n=4 interpolate=true", "n=4 does not fill the rows of 8 that interpolate draws: take n=8"),
        ("glow", "n=12 interpolate=true", "n=12 does not fill the rows of 8 that interpolate draws: take n=8 or 16"),
        ("glow", "n=1000000000000000", "n=1000000000000000 does not fit into memory: so many of shape [1, 8, 8] take "),
        ("glow", "n=1000000000000000 interpolate=true", "n=1000000000000000 does not fit into memory: "),
    ],
)
def test_a_choice_that_the_model_does_not_have_is_refused(
    model: str, argument: str, sentence: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    run = request.getfixturevalue(model)
    mistake = run_program("sample", f"run={run}", *argument.split(), capture=capsys).mistake
    assert sentence in mistake
    assert "\n" not in mistake
