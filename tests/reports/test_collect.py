"""What a report takes from run folders: which, what of them, and what it leaves out."""

import math
from pathlib import Path

import pytest
import torch

from genmodels.config.compose import compose
from genmodels.errors import UserError
from genmodels.pictures import save_grid
from genmodels.reports.collect import by_name, run_folders, summary_of
from genmodels.reports.curves import curves_by_name, thinned
from genmodels.reports.rows import short_names
from genmodels.reports.wording import budget, protocol
from genmodels.runs.folder import RunFolder, write_json


def _run(path: Path) -> RunFolder:
    folder = RunFolder(path)
    folder.write_config(compose(["model=nice_small"]))
    folder.update_record(steps=20)
    return folder


def _picture(path: Path) -> None:
    save_grid(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), 2, path)


def test_runs_are_found_by_name_by_pattern_and_below_a_folder(tmp_path: Path) -> None:
    a, b = (_run(tmp_path / "outputs" / name).path.resolve() for name in ("a", "deep/b"))
    (a / "wandb").mkdir()
    (a / "wandb" / "config.yaml").write_text("x: 1")  # no run
    assert run_folders([str(tmp_path / "outputs")]) == [a, b]
    assert run_folders([f"{tmp_path}/outputs/*/b", str(a)]) == [b, a]
    assert run_folders([f"{tmp_path}/**"]) == [a, b]
    with pytest.raises(UserError, match=r"runs=.*/c\* finds no run folder"):
        run_folders([f"{tmp_path}/outputs/c*", str(a)])


def test_the_sample_is_the_newest_and_the_runs_own(tmp_path: Path) -> None:
    folder = _run(tmp_path / "run")
    assert summary_of(folder.path).sample is None
    for name in ("step_1.png", "step_2.png"):
        _picture(folder.samples / name)
    (folder.samples / "step_3.png").write_bytes(b"no picture")
    _picture(tmp_path / "private.png")
    (folder.samples / "step_4.png").symlink_to(tmp_path / "private.png")
    sample = summary_of(folder.path).sample
    assert sample is not None
    assert sample.path.name == "step_2.png"
    assert (sample.width, sample.size) == (64, sample.path.stat().st_size)


def test_cpu_time_of_a_tables_run_stands_beside_its_record(tmp_path: Path) -> None:
    folder = _run(tmp_path)
    write_json(tmp_path / "cell.json", {"parts": [{"cpu_seconds": 90.0}, {"cpu_seconds": 30.0}, "odd"]})
    assert budget(summary_of(folder.path).record) == "20 steps, 2.0 min CPU"


def test_thinned_curves_keep_their_ends_and_only_what_was_logged() -> None:
    steps, values = thinned(range(1000), [math.sqrt(step) for step in range(1000)], most=50)
    assert (len(steps), steps[0], steps[-1]) == (50, 0, 999)
    assert values == [float(f"{math.sqrt(step):.5g}") for step in steps]
    assert thinned([1, 2, 3], [1.0, math.nan, math.inf]) == ([1, 2, 3], [1.0, None, None])


def test_validation_is_what_is_shown_first() -> None:
    one = {name: ([1], [2.0]) for name in ("time/images_per_second", "train/loss", "val/rare", "val/loss")}
    found = curves_by_name([one, {"val/loss": ([1], [3.0])}])
    assert list(found) == ["val/loss", "val/rare", "train/loss", "time/images_per_second"]
    assert found["val/loss"] == {0: ([1], [2.0]), 1: ([1], [3.0])}


def test_a_figure_has_one_column_whatever_its_samples_and_examples() -> None:
    def entry(mean: float, k: object, examples: object) -> dict[str, object]:
        return {"mean": mean, "protocol": {"importance_samples": k}, "num_examples": examples}

    once = {"test/bits_per_dim K=16 first 147": entry(3.0, 16, 147), "test/fid N=9": {"mean": 1.0, "protocol": "x"}}
    assert by_name(once) == {"test/bits_per_dim": entry(3.0, 16, 147), "test/fid": {"mean": 1.0, "protocol": "x"}}
    several = {
        "test/bits_per_dim K=1": entry(3.2, 1, 9000),
        "test/bits_per_dim K=16": entry(3.1, 16, 900),
        "test/bits_per_dim K=16 first 10": entry(2.9, 16, 10),
        "test/bits_per_dim odd": entry(0.0, "many", True),
    }
    assert by_name(several) == {"test/bits_per_dim": entry(3.1, 16, 900), **several}


def test_words_for_what_is_missing_or_odd() -> None:
    assert protocol({"mean": 1.0}) == "kind not recorded, unknown weights"
    assert protocol({"kind": 3, "protocol": [1], "step": "x", "num_examples": True}) == "3, unknown weights"
    exact = {"kind": "exact", "protocol": {"importance_samples": 1, "features": "small"}, "weights": "raw", "step": 9}
    assert protocol(exact) == "exact, features=small, raw weights of step 9"
    assert budget({}) == "steps not recorded, time not recorded"
    assert budget({"steps": "many", "wall_time_seconds": math.inf, "cpu_seconds": [10**400]}) == budget({})


def test_names_are_short_and_tell_runs_apart() -> None:
    assert short_names([Path("/a/b/c/d")]) == ["c/d"]
    assert short_names([Path("/a/b/c/d"), Path("/a/x/c/d")]) == ["b/c/d", "x/c/d"]
    assert short_names([Path("/a/b"), Path("/c")]) == ["a/b", "c"]
