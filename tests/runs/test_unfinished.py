"""resume=auto: the same command again goes on with what it had begun."""

import json
import os
from pathlib import Path

import pytest

from genmodels.config.compose import compose
from genmodels.errors import UserError
from genmodels.experiment import start, train
from genmodels.runs.folder import RunFolder
from genmodels.runs.unfinished import newest_unfinished

TINY = ("model=nice_small", "model.width=8", "trainer=cpu", "logger=csv")


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run that was killed after two steps, as its files tell."""
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(Path("outputs/nice_small-digits/first"))
    train(compose([*TINY, "trainer.max_steps=2"]), folder.path)
    folder.update_record(status="running", pid=2**22 + 1)  # no process has such a number
    return folder


def _auto(*more: str) -> dict:
    return compose([*TINY, "resume=auto", *more])


def test_the_same_command_goes_on(stopped: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    train(_auto("trainer.max_steps=4"), Path("outputs/nice_small-digits/second"))
    assert f"resume=auto: goes on with {stopped.path}" in capsys.readouterr().out
    record = stopped.read_record()
    assert (record["status"], record["steps"], len(record["earlier"])) == ("finished", 4, 1)
    assert stopped.read_config()["resume"] is None
    assert not Path("outputs/nice_small-digits/second").exists()


def test_anything_else_begins_anew(stopped: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    new = Path("outputs/nice_small-digits/second")
    begun = start(_auto("seed=1"), new)
    assert (begun.folder.path, begun.resume, begun.config["resume"]) == (new, False, None)
    assert "no unfinished run of this configuration in outputs, so a new one begins" in capsys.readouterr().out
    for different in ("model.width=9", "name=other", "optimizer.lr=0.1", "data.batch_size=32", "output_dir=elsewhere"):
        assert newest_unfinished(_auto(different)) is None
    for changeable in ("trainer.max_steps=9", "data_dir=there", "callbacks.samples=null", "evaluation.max_images=3"):
        assert newest_unfinished(_auto(changeable)) is not None


def test_a_run_keeps_what_its_model_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sizes = ("model=glow_small", "model.width=4", "model.num_steps=1", "trainer=cpu", "logger=csv")
    config = compose([*sizes, "trainer.max_steps=1", "evaluation.max_images=1"])
    assert config["model"]["num_scales"] is None
    folder = RunFolder(Path("outputs/glow_small-digits/first"))
    train(config, folder.path)
    assert folder.read_config()["model"]["num_scales"] == 2
    folder.update_record(status="interrupted")
    assert newest_unfinished(config) is not None
    assert newest_unfinished(compose([*sizes, "model.num_scales=1"])) is None


def test_only_a_run_that_stopped_and_can_go_on_is_taken(stopped: RunFolder) -> None:
    config = _auto()
    record = stopped.read_record()
    for entries in ({"status": "finished"}, {"pid": os.getppid()}):
        stopped.update_record(**entries)
        assert newest_unfinished(config) is None
        stopped.update_record(**record)
    stopped.update_record(pid=os.getppid(), hardware={"host": "another machine"})
    assert newest_unfinished(config) is not None
    (stopped.path / "run.json").write_text("{")
    assert newest_unfinished(config) is None
    (stopped.path / "run.json").write_text(json.dumps(record))
    stopped.last.unlink()
    assert newest_unfinished(config) is None


def test_the_newest_is_taken(stopped: RunFolder) -> None:
    newer = RunFolder(stopped.path.with_name("a newer one"))
    stopped.path.rename(newer.path)
    train(compose([*TINY, "trainer.max_steps=2"]), stopped.path)
    stopped.update_record(status="interrupted", started="2001-01-01T00:00:00+00:00")
    found = newest_unfinished(_auto())
    assert found is not None
    assert found.path == newer.path


def test_ranks_that_a_launcher_started_cannot_each_decide(stopped: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(UserError, match=r"^resume=auto is for one process"):
        start(_auto(), "new")
