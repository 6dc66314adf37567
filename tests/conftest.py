"""What all tests share: one thread, and real data where there is some."""

import genmodels  # isort: skip  # before anything that imports torchvision

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

ROOT = Path(genmodels.__file__).parents[1]

os.environ.setdefault("WANDB_MODE", "offline")  # nobody's account gets the runs of tests
torch.set_num_threads(1)  # results are equal bit for bit only at the same number of threads


@pytest.fixture(scope="session")
def real_data() -> Path:
    """A folder with the real data sets as torchvision lays them out; skips where there is none.

    GENMODELS_DATA names it. A folder with an `unpack.py` holds packed sets, which are unpacked once per machine.
    """
    folder = Path(os.environ.get("GENMODELS_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder} (set GENMODELS_DATA)")
    unpacker = folder / "unpack.py"
    return _unpacked(unpacker) if unpacker.exists() else folder


@pytest.fixture
def empty_caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, with no features and no weights of torch.hub in it."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    return folder


def _unpacked(unpacker: Path) -> Path:
    target = Path(tempfile.gettempdir()) / f"genmodels-data-{os.getuid()}"
    done = target / ".unpacked"
    if not done.exists():
        subprocess.run([sys.executable, str(unpacker), "--out", str(target)], check=True, stdout=subprocess.DEVNULL)
        done.touch()
    return target
