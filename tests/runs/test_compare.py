"""Runs side by side."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Done, run_program

from genmodels.config.compose import compose
from genmodels.runs.folder import RunFolder

Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    return lambda name, *arguments: run_program(name, *arguments, capture=capsys)


def _folder(path: Path, mean: float, *overrides: str) -> Path:
    folder = RunFolder(path)
    folder.write_config(compose(overrides))
    folder.update_record(status="finished", parameters=1312, steps=20)
    folder.add_metrics("test/bits_per_dim K=1", {"mean": mean, "standard_error": 0.03})
    return path


def test_what_differs_and_the_figures(run: Run, tmp_path: Path) -> None:
    first = _folder(tmp_path / "first", 2.5, "model=nice_small")
    second = _folder(tmp_path / "second", 2.25, "model=nice_small", "optimizer.lr=0.01", "data.flip=true")
    rows = [line.split() for line in run("compare", f"runs=[{first},{second}]").out.splitlines() if line.strip()]
    assert rows[0] == [f"{tmp_path.name}/first", f"{tmp_path.name}/second"]
    assert rows[2:] == [
        ["data.flip", "false", "true"],
        ["optimizer.lr", "0.001", "0.01"],
        ["status", "finished", "finished"],
        ["parameters", "1312", "1312"],
        ["steps", "20", "20"],
        ["test/bits_per_dim", "K=1", "2.5000", "±", "0.0300", "2.2500", "±", "0.0300"],
    ]


def test_a_difference_of_any_two_is_shown(run: Run, tmp_path: Path) -> None:
    critic = "+optimizers.critic={_target_: torch.optim.SGD, lr: 0.1}"
    runs = [_folder(tmp_path / name, 2.5, "model=nice_small", *more) for name, more in (("a", ()), ("b", ()))]
    runs.append(_folder(tmp_path / "c", 2.5, "model=nice_small", "seed=1", critic))
    rows = [line.split() for line in run("compare", f"runs=[{','.join(map(str, runs))}]").out.splitlines()]
    for row in (["seed", "0", "0", "1"], ["optimizers", "{}", "{}"], ["optimizers.critic.lr", "0.1"]):
        assert row in rows


def test_mistakes(run: Run, tmp_path: Path) -> None:
    assert run("compare").mistake == "runs is missing: give runs=..."
    assert run("compare", "runs=[a]").mistake.startswith("runs needs two run folders or more")
    assert run("compare", f"runs=[{tmp_path},b]").mistake.endswith("is not a run folder: it has no config.yaml")
