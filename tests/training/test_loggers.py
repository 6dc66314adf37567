from pathlib import Path

import offline_wandb
import pytest
from training_toys import train

from genmodels.errors import UserError
from genmodels.training import Samples, build_loggers, close_loggers
from genmodels.training.csv_logger import read_series


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


def test_wandb_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [log.name for log in build_loggers(tmp_path, "x", mode="disabled")] == ["CSVMetrics"]
    with pytest.raises(UserError, match=r"logger\.mode=loud must be"):
        build_loggers(tmp_path, "x", mode="loud")  # type: ignore[arg-type]
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    online = build_loggers(tmp_path, "x", mode="online")[1]
    with pytest.raises(UserError, match=r"logger\.mode=online needs a Weights & Biases login"):
        online.log_metrics({"a": 1.0}, step=1)
