"""The files of a run."""

from pathlib import Path

import pytest

from genmodels.config.compose import compose
from genmodels.errors import UserError
from genmodels.runs.folder import RunFolder


def test_the_config_comes_back_but_for_what_the_user_says_anew_and_finds_its_data_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = ["optimizer.lr=1e-5", "data=toy2d", "model=nice_small", "data_dir=sets"]
    monkeypatch.chdir(tmp_path)
    RunFolder(tmp_path).write_config(compose([*overrides, "plugins=[my_package]", "data.download=true"]))
    assert "plugins" not in (tmp_path / "config.yaml").read_text()
    saved = RunFolder(tmp_path).read_config()
    config = compose(overrides)
    del config["plugins"]
    assert saved["data_dir"] == saved["data"]["root"] == str(tmp_path / "sets")
    assert {**saved, "data_dir": "sets", "data": {**saved["data"], "root": "sets"}} == config


def test_figures_are_added_and_replaced_by_name(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.add_metrics("test", {"mean": 1.0})
    folder.add_metrics("val", {"mean": 2.0})
    folder.add_metrics("test", {"mean": 3.0})
    assert folder.metrics.read_text().count("mean") == 2
    assert '"mean": 3.0' in folder.metrics.read_text()


@pytest.mark.parametrize("text", ["{", "a: ${b}", "- 1", "a: 1\n b: 2"])
def test_a_damaged_config_ends_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml cannot be read"):
        RunFolder(tmp_path).read_config()


def test_damaged_metrics_end_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(UserError, match=r"metrics\.json is not valid JSON"):
        RunFolder(tmp_path).add_metrics("test", {})
