"""Where figures and pictures go."""

import importlib.util
import json
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import offline_wandb
import pytest
import training_toys
from PIL import Image
from training_toys import train

from genmodels.errors import UserError
from genmodels.objectives.objective import Selection
from genmodels.training import Samples, build_loggers, close_loggers, log_final
from genmodels.training.csv_logger import CSVMetrics, read_series
from genmodels.training.loggers import _sweep_of
from genmodels.training.wandb_logger import WandbRun, sync_hint


def test_offline_wandb_holds_the_series_and_a_picture_and_continues(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two parts of one run, read back from the files that wandb wrote."""
    capfd.readouterr()
    for resume, epochs in ((False, 1), (True, 2)):
        run = train(tmp_path, resume=resume, max_epochs=epochs, extra=[Samples(n=4)], wandb="offline")
        close_loggers(run.loggers)
    assert "".join(capfd.readouterr()) == ""
    files = sorted((tmp_path / "wandb").glob("offline-run-*/run-abc123.wandb"), key=lambda p: p.stat().st_mtime)
    assert len(files) == 2
    parts = [offline_wandb.read(path) for path in files]
    assert [(part.id, part.ended) for part in parts] == [("abc123", True)] * 2
    assert parts[0].config["lr"] == 0.01
    written = read_series(tmp_path / "metrics.csv")
    for name in ("train/bits_per_dim", "val/bits_per_dim"):
        (steps_a, values_a), (steps_b, values_b) = (part.series(name) for part in parts)
        assert steps_a + steps_b == written[name][0]
        assert values_a + values_b == pytest.approx(written[name][1])
    (row,) = [row for row in parts[0].history if any(key.startswith("samples") for key in row)]
    (picture,) = files[0].parent.glob("files/media/images/*.png")
    assert picture.read_bytes() == (tmp_path / "samples" / "step_0000004.png").read_bytes()
    assert row["trainer/global_step"] == 4


@pytest.fixture
def no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


def log_and_read(folder: Path, *arguments: Any, **options: Any) -> offline_wandb.OfflineRun:
    """Log one row to wandb alone and read back the offline run."""
    loggers = build_loggers(folder, "x", *arguments, csv=False, **options)
    for logger in loggers:
        logger.log_metrics({"val/accuracy": 0.5, "epoch": 0}, step=1)
    log_final(loggers, {"test/accuracy": 0.25}, step=1)
    close_loggers(loggers)
    (file,) = (folder / "wandb").glob("offline-run-*/run-x.wandb")
    return offline_wandb.read(file)


@pytest.mark.usefixtures("no_key")
def test_wandb_modes(tmp_path: Path) -> None:
    assert [type(log) for log in build_loggers(tmp_path, "x", mode="disabled")] == [CSVMetrics]
    with pytest.raises(UserError, match=r"logger\.mode=loud must be"):
        build_loggers(tmp_path, "x", mode="loud")  # type: ignore[arg-type]
    online = build_loggers(tmp_path, "x", mode="online")[1]
    with pytest.raises(UserError, match=r"logger\.mode=online needs a Weights & Biases login"):
        online.log_metrics({"a": 1.0}, step=1)
    online.close()


def test_the_trials_of_a_study_are_a_group(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "journal.log").touch()
    assert _sweep_of(tmp_path / "study" / "7") == "study"
    assert _sweep_of(tmp_path / "7") is None


@pytest.mark.usefixtures("no_key")
def test_without_a_key_wandb_stays_offline_and_knows_the_run(tmp_path: Path) -> None:
    """Sweep, names and the better end of the figure that selects; final figures are in the summary."""
    config = {
        "model": {"_target_": "genmodels.models.NICE"},
        "data": {"_target_": "genmodels.data.DataModule", "name": "digits"},
        "objective": {"_target_": "genmodels.objectives.NegativeLogLikelihood"},
    }
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "multirun.yaml").touch()
    folder = tmp_path / "sweep" / "0"
    run = log_and_read(folder, config, selection=Selection("accuracy", "higher"))
    assert (run.group, run.exit_code) == ("sweep", 0)
    assert sorted(run.tags) == ["NICE", "NegativeLogLikelihood", "digits"]
    assert run.best == {"val/accuracy": "max"}
    assert run.series("val/accuracy") == ([1], [0.5])
    assert run.summary["test/accuracy"] == 0.25
    hint = sync_hint(folder)
    assert hint is not None
    command, folders = hint.split()[:2], hint.split()[2:]
    assert (command, [Path(part) for part in folders]) == (["wandb", "sync"], list(folder.glob("wandb/offline-run-*")))
    assert sync_hint(tmp_path) is None


@pytest.fixture
def deaf_server() -> Iterator[tuple[str, list[bytes]]]:
    """An address that hangs up on everybody, and what the callers said who had a key."""
    calls: list[bytes] = []

    class HangUp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            said = self.request.recv(4096)
            calls.extend([said] if b"Authorization" in said else [])

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), HangUp) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", calls
        server.shutdown()


@pytest.mark.usefixtures("no_key")
@pytest.mark.parametrize(
    "source", [*(pytest.param(source, marks=pytest.mark.slow) for source in ("environment", "netrc")), "nowhere"]
)
def test_with_a_key_wandb_goes_online_and_without_a_connection_offline(
    source: str, deaf_server: tuple[str, list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, calls = deaf_server
    monkeypatch.setenv("WANDB_BASE_URL", f"http://{address}")
    if source == "environment":
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    elif source == "netrc":
        (tmp_path / "netrc").write_text(f"machine {address}\n login user\n password {'a' * 40}\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert log_and_read(tmp_path / "run").series("val/accuracy") == ([1], [0.5])
    assert bool(calls) == (source != "nowhere")
    calls.clear()
    assert log_and_read(tmp_path / "offline", mode="offline").series("val/accuracy") == ([1], [0.5])
    assert not calls, "what was said wins"


@pytest.mark.usefixtures("no_key")
def test_a_killed_training_leaves_a_whole_wandb_run_that_failed(tmp_path: Path) -> None:
    script = Path(training_toys.__file__).with_name("train_toy.py")
    options = json.dumps({"max_epochs": 3, "wandb": "offline"})
    killed = subprocess.run([sys.executable, script, tmp_path, options, "5"], check=False)
    assert killed.returncode == -signal.SIGKILL
    file = wait_for(lambda: next((tmp_path / "wandb").glob("offline-run-*/run-abc123.wandb"), None))
    run = offline_wandb.read(file)
    assert (run.ended, run.exit_code) == (True, 1)
    assert run.series("train/bits_per_dim")[0] == [1, 2, 3, 4, 5]


def wait_for(found: Callable[[], Path | None], patience: float = 60.0) -> Path:
    deadline = time.monotonic() + patience
    while (path := found()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return path


def test_a_wandb_process_that_dies_is_told_once(tmp_path: Path) -> None:
    (log,) = build_loggers(tmp_path, "x", mode="offline", csv=False)
    assert isinstance(log, WandbRun)
    log.log_metrics({"a": 1.0}, step=1)
    assert log._process is not None
    log._process.kill()
    log._process.wait()
    with pytest.warns(UserWarning, match="wandb stopped .*; the training goes on without it"):
        log.log_metrics({"a": 1.0}, step=2)
    log.log_metrics({"a": 1.0}, step=3)
    log.close()


def test_tensorboard_holds_series_and_a_picture_and_continues(tmp_path: Path) -> None:
    """Two parts of one run; the second begins before the first has ended, and hides what it repeats."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Image.fromarray(np.full((4, 6), 100, dtype=np.uint8)).save(tmp_path / "picture.png")
    for steps in ((1, 2, 3), (2, 3, 4)):
        (log,) = build_loggers(tmp_path, "x", {"lr": 0.1}, mode="disabled", csv=False, tensorboard=True)
        for step in steps:
            log.log_metrics({"val/nll": steps[0] + 0.5, "epoch": 0}, step=step)
        log.log_picture("samples", tmp_path / "picture.png", 4)
        log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("val/nll")] == [(1, 1.5), (2, 2.5), (3, 2.5), (4, 2.5)]
    assert (events.Images("samples")[-1].width, events.Images("samples")[-1].height) == (6, 4)


def test_without_tensorboard_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        build_loggers(tmp_path, "x", mode="disabled", tensorboard=True)
