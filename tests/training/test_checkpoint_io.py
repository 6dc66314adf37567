import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from training_toys import train

from genmodels.errors import UserError
from genmodels.files import remove_leftovers
from genmodels.training import AtomicCheckpointIO, read_checkpoint
from genmodels.training.checkpoint_io import link_atomically


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("cannot be saved")


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"a": torch.ones(3)}, target)
    before = target.read_bytes()
    with pytest.raises(RuntimeError, match="cannot be saved"):
        AtomicCheckpointIO().save_checkpoint({"a": torch.zeros(3), "b": Unpicklable()}, target)
    assert target.read_bytes() == before
    assert names(tmp_path) == ["last.ckpt"]


def test_a_full_disk_leaves_the_old_file_alone_and_says_so(small_disk: Path) -> None:
    target = small_disk / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"a": torch.ones(3)}, target)
    with pytest.raises(UserError, match=r"No space left on the disk while writing .*last\.ckpt"):
        AtomicCheckpointIO().save_checkpoint({"a": torch.ones(100_000)}, target)
    assert torch.equal(read_checkpoint(target)["a"], torch.ones(3))
    assert names(small_disk) == ["last.ckpt"]


class Filler(pl.Callback):
    """Fills the disk after the third step."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        if trainer.global_step == 3:
            free = os.statvfs(trainer.default_root_dir)
            (Path(trainer.default_root_dir) / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize))


def test_a_run_on_a_disk_that_fills_up_can_be_resumed(small_disk: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No space left on the disk"):
        train(small_disk, max_epochs=2, every_n_steps=2, extra=[Filler()])
    (small_disk / "filler").unlink()
    assert read_checkpoint(small_disk / "checkpoints" / "last.ckpt")["global_step"] == 2
    train(small_disk, resume=True, max_epochs=2, every_n_steps=2)
    train(tmp_path / "straight", max_epochs=2, every_n_steps=2)
    a, b = (read_checkpoint(f / "checkpoints" / "last.ckpt") for f in (small_disk, tmp_path / "straight"))
    assert torch.equal(a["state_dict"]["model.loc"], b["state_dict"]["model.loc"])


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_truncated_checkpoint_is_named(keep: float, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"a": torch.ones(10_000)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    with pytest.raises(UserError, match=r"last\.ckpt is not a whole checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("damaged", "others", "remedy"),
    [
        ("best.ckpt", ["last.ckpt"], "remove it, and last.ckpt beside it is used, or train anew"),
        ("last.ckpt", ["best.ckpt"], "copy best.ckpt beside it over it, or train anew"),
        ("best.ckpt", [], "train anew"),
        ("last.ckpt", ["other.ckpt"], "train anew"),
    ],
)
def test_a_damaged_checkpoint_is_told_with_the_other_one(
    damaged: str, others: list[str], remedy: str, tmp_path: Path
) -> None:
    for name in (damaged, *others):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=rf"{damaged} is not a whole checkpoint \(.*\): {remedy}$"):
        read_checkpoint(tmp_path / damaged)


def test_a_limit_on_the_size_of_files_is_told_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"a": 1}, path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(UserError, match=r"^The largest size of a file is reached \(ulimit -f\) while writing"):
            AtomicCheckpointIO().save_checkpoint({"a": torch.ones(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert read_checkpoint(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"a": torch.ones(10_000)}, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"last\.ckpt is not a whole checkpoint"):
        read_checkpoint(path)


class Code:
    """A checkpoint that would run something when it is loaded."""

    def __reduce__(self) -> Any:
        return os.system, ("false",)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    torch.save({"a": Code()}, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match=r"last\.ckpt"):
        read_checkpoint(tmp_path / "last.ckpt")


def test_an_absent_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no checkpoint .*nowhere\.ckpt"):
        read_checkpoint(tmp_path / "nowhere.ckpt")


def test_links_share_a_version_not_a_future(tmp_path: Path) -> None:
    best, last = tmp_path / "best.ckpt", tmp_path / "last.ckpt"
    io = AtomicCheckpointIO()
    io.save_checkpoint({"step": 1}, best)
    link_atomically(best, last)
    assert read_checkpoint(last) == {"step": 1}
    io.save_checkpoint({"step": 2}, last)
    assert read_checkpoint(best) == {"step": 1}
    link_atomically(best, last)
    io.save_checkpoint({"step": 3}, best)
    assert read_checkpoint(last) == {"step": 1}
    assert names(tmp_path) == ["best.ckpt", "last.ckpt"]


def test_leftovers_of_a_killed_write_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / ".last.ckpt.x1y2.partial").write_bytes(b"half")
    train(tmp_path, max_steps=1)
    remove_leftovers(folder)
    assert names(folder) == ["best.ckpt", "last.ckpt"]
