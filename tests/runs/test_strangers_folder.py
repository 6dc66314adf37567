"""A run folder from a stranger is data: nothing in it writes elsewhere, fills the memory or commands the terminal."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from command_line import Done, run_program

from genmodels import load_run
from genmodels.config.compose import compose
from genmodels.errors import UserError, printable
from genmodels.evaluation.sampling import draw
from genmodels.evaluation.setting import Setting
from genmodels.experiment import train
from genmodels.runs.folder import RunFolder, read_json
from genmodels.runs.unfinished import newest_unfinished

Run = Callable[..., Done]
TINY = ("model=nice_small", "model.width=4", "trainer=cpu", "logger=csv", "callbacks.ema.decay=0.5")
COMMANDS = "[/red]\x1b[31m\x1b]0;title\x07\u202e"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "run"
    train(compose([*TINY, "trainer.max_steps=2"]), path)
    return path


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(original, tmp_path / "outputs" / "nice_small-digits" / "run"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    return lambda name, *arguments: run_program(name, *arguments, capture=capsys)


def _resumed(run: Run, folder: RunFolder) -> Done:
    return run("train", f"resume={folder.path}", "trainer.max_steps=3")


@pytest.mark.parametrize("name", ["samples", "checkpoints", "metrics.csv", "wandb"])
def test_nothing_is_written_through_a_link(run: Run, folder: RunFolder, tmp_path: Path, name: str) -> None:
    mine, link = tmp_path / "mine", folder.path / name
    if link.is_dir():
        link.rename(mine)
    else:
        mine.write_text("precious") if "." in name else mine.mkdir()
        link.unlink(missing_ok=True)
    link.symlink_to(mine)
    before = sorted(mine.iterdir()) if mine.is_dir() else mine.read_text()
    assert f"{link} is a link to {mine}, outside of the run folder" in _resumed(run, folder).mistake
    assert (sorted(mine.iterdir()) if mine.is_dir() else mine.read_text()) == before


def test_samples_go_through_no_link_either(folder: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    setting = Setting(load_run(folder.path), device="cpu")
    (folder.samples / "sample_n2_t1_seed0.npz").symlink_to(tmp_path / "mine")
    draw(setting, 2)
    assert (tmp_path / "mine").read_text() == "precious"
    shutil.rmtree(folder.samples)
    folder.samples.symlink_to(tmp_path)
    with pytest.raises(UserError, match="samples is a link to"):
        draw(setting, 2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &a [x, x]\nb: [*a, *a]\n", "a saved config holds no aliases"),
        ("a: &a\n  b: *a\n", "a saved config holds no aliases"),
        ("", "it holds no keys"),
        ("[" * 1500 + "]" * 1500, "it is nested too deep"),
        ("a: " + "x" * 1_000_001, "it has more than 1,000,000 bytes"),
        ("seed: " + "9" * 5000, "Exceeds the limit"),
        ("name: !!binary aGVsbG8=\n", "holds only values, and b'hello' is none"),
        ("a: !!python/object/apply:os.system [touch opened]", "could not determine a constructor"),
    ],
)
def test_a_config_that_is_no_plain_data_is_refused_and_passed_over(folder: RunFolder, text: str, reason: str) -> None:
    (folder.path / "config.yaml").write_text(text)
    folder.update_record(status="interrupted")
    with pytest.raises(UserError, match=reason):
        folder.read_config()
    assert newest_unfinished(compose([*TINY, f"output_dir={folder.path.parents[1]}"])) is None


def test_json_that_is_nested_too_deep_or_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "deep").write_text("[" * 100_000)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="nested too deep"):
        read_json(tmp_path / "deep")
    with pytest.raises(UserError, match="is not a file"):
        read_json(tmp_path / "pipe")


@pytest.mark.parametrize("entry", [{"earlier": 3}, {"hardware": [1]}, {"pid": "x"}, {"started": 5}, {"status": [1]}])
def test_a_record_of_other_types(folder: RunFolder, entry: dict[str, Any]) -> None:
    folder.update_record(**entry)
    with pytest.raises(UserError, match=f"{next(iter(entry))} is not as a run writes it"):
        folder.read_record()


def test_auto_passes_no_process_number_on_that_there_cannot_be(folder: RunFolder) -> None:
    record = folder.read_record()
    del record["started"]
    (folder.path / "run.json").unlink()
    folder.update_record(**{**record, "status": "running", "pid": 10**30})
    found = newest_unfinished(compose([*TINY, f"output_dir={folder.path.parents[1]}"]))
    assert found is not None
    assert found.path == folder.path


@pytest.mark.parametrize("entry", ["x", None, {}, {"mean": "x"}, {"mean": 10**400}, {"mean": 1, "standard_error": "x"}])
def test_figures_that_are_none(run: Run, folder: RunFolder, entry: Any) -> None:
    folder.add_metrics("odd", entry)
    assert "the entry 'odd' holds no figure" in run("compare", f"runs=[{folder.path},{folder.path}]").mistake


def test_names_are_shown_and_not_obeyed(run: Run, folder: RunFolder, original: Path) -> None:
    folder.add_metrics(COMMANDS, {"mean": 1.0})
    folder.update_record(status=COMMANDS)
    config = yaml.safe_load((folder.path / "config.yaml").read_text())
    (folder.path / "config.yaml").write_text(yaml.safe_dump({**config, "name": COMMANDS, COMMANDS: 1}))
    shown = run("compare", f"runs=[{original},{folder.path}]").out
    told = run("evaluate", f"run={folder.path}").mistake
    assert shown.count(r"[/red]\x1b[31m\x1b]0;title\x07\u202e") == 4
    assert r"unknown key [/red]\x1b[31m" in told
    assert printable(shown + told) == shown + told


@pytest.mark.parametrize(
    "change",
    [
        lambda _: [1],
        lambda _: {"a": 1},
        lambda kept: kept | {"state_dict": [1]},
        lambda kept: kept | {"state_dict": {3: torch.zeros(1)}},
        lambda kept: kept | {"state_dict": dict.fromkeys(kept["state_dict"], "x")},
        lambda kept: kept | {"state_dict": {name: torch.zeros(3) for name in kept["state_dict"]}, "callbacks": {}},
        lambda kept: kept | {"callbacks": [1]},
        lambda kept: kept | {"callbacks": {"EMA": {"average": 3}}},
    ],
)
def test_what_is_no_checkpoint_of_the_run(
    run: Run, folder: RunFolder, change: Callable[[dict[str, Any]], object]
) -> None:
    changed = change(torch.load(folder.last, weights_only=True))
    for file in (folder.best, folder.last):
        file.unlink()
        torch.save(changed, file)
    assert "best.ckpt" in run("evaluate", f"run={folder.path}").mistake
    assert "last.ckpt does not fit the run, so it cannot go on: " in _resumed(run, folder).mistake


@pytest.mark.parametrize("key", ["loops", "optimizer_states", "metrics_size", "pytorch-lightning_version"])
def test_a_checkpoint_that_lacks_what_resuming_needs(run: Run, folder: RunFolder, key: str) -> None:
    kept = torch.load(folder.last, weights_only=True)
    del kept[key]
    folder.last.unlink()
    torch.save(kept, folder.last)
    assert "last.ckpt does not fit the run, so it cannot go on: KeyError" in _resumed(run, folder).mistake


def test_a_folder_in_place_of_a_checkpoint_or_nothing_in_place_of_the_trainer(run: Run, folder: RunFolder) -> None:
    folder.best.unlink()
    folder.best.mkdir()
    assert "best.ckpt cannot be read" in run("evaluate", f"run={folder.path}").mistake
    config = yaml.safe_load((folder.path / "config.yaml").read_text())
    (folder.path / "config.yaml").write_text(yaml.safe_dump({**config, "trainer": None}))
    assert "trainer" in run("train", f"resume={folder.path}").mistake


@pytest.mark.parametrize("width", [10**12, 10**18])
def test_a_model_that_no_memory_holds(run: Run, folder: RunFolder, width: int) -> None:
    config = yaml.safe_load((folder.path / "config.yaml").read_text())
    config["model"]["width"] = width
    (folder.path / "config.yaml").write_text(yaml.safe_dump(config))
    assert run("evaluate", f"run={folder.path}").mistake.startswith("out of memory: ")


def test_an_empty_folder_that_a_door_is_started_in_stays(
    run: Run, folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert run("sample", f"run={folder.path}", "n=1").code == 0
    assert (tmp_path / "here").exists()


@pytest.mark.parametrize("out", ["/", "file/below"])
def test_samples_that_cannot_be_written_where_they_are_wanted(
    run: Run, folder: RunFolder, tmp_path: Path, out: str
) -> None:
    (tmp_path / "file").touch()
    assert run("sample", f"run={folder.path}", "n=1", f"out={out}").mistake.startswith(f"out={out}")


@pytest.mark.parametrize("name", ["run.json", "metrics.json"])
@pytest.mark.parametrize(
    "content", [b"", b"\xf6\x00", b'{"steps": 1}\0\0', None], ids=["empty", "bytes", "zeros", "folder"]
)
def test_a_run_with_a_checkpoint_goes_on_whatever_its_records_say(
    run: Run, folder: RunFolder, name: str, content: bytes | None
) -> None:
    path = folder.path / name
    path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)
    done = _resumed(run, folder)
    assert done.code == 0, done.err
    assert f"{path}.damaged-" in done.err
    assert len(list(folder.path.glob(f"{name}.damaged-*"))) == 1
    assert folder.read_record()["steps"] == 3
    assert all(figure["step"] == 3 for figure in folder.read_metrics().values())
