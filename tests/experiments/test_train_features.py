"""The script that makes the small features."""

import runpy
from pathlib import Path

import pytest
import torch
from tiny_files import write_cifar10, write_mnist

from genmodels.data.sources.mnist import FashionMNIST
from genmodels.features import SmallFeatures

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "experiments" / "train_features.py"


def test_it_learns_what_can_be_seen() -> None:
    script = runpy.run_path(str(SCRIPT))
    y = torch.arange(512) % 2
    noise = torch.randint(100, (512, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    x = noise + 100 * y[:, None, None, None].to(torch.uint8)
    network = script["train"](x, y, 2, 4, None)
    assert script["accuracy"](network, x, y) > 0.95
    assert script["accuracy"](network, x, 1 - y) < 0.05


@pytest.mark.parametrize(("kind", "channels", "classes"), [("grey", 1, 20), ("colour", 3, 10)])
def test_from_files_to_a_file(
    kind: str,
    channels: int,
    classes: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_mnist(tmp_path, monkeypatch)
    write_mnist(tmp_path, monkeypatch, FashionMNIST)
    write_cifar10(tmp_path, monkeypatch)
    script = runpy.run_path(str(SCRIPT))
    monkeypatch.setitem(script["train"].__globals__, "BATCH", 4)
    script["main"](kind, tmp_path, tmp_path / "mine.safetensors", 2)
    read = SmallFeatures.from_file(tmp_path / "mine.safetensors", channels)
    assert read.num_classes == classes
    printed = capsys.readouterr().out
    assert printed.count("test accuracy") == classes // 10
    assert f"fingerprint {read.fingerprint}" in printed
