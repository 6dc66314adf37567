"""Checkpoint files that are whole or absent, whatever happens while they are written."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from genmodels.errors import UserError
from genmodels.files import PARTIAL, explaining_full_disk, replacing
from genmodels.weights_file import load_weights


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's plugin for reading and writing checkpoints: `Trainer(plugins=[AtomicCheckpointIO()])`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write `checkpoint` so that `path` holds the old file or the whole new one at every moment.

        Raises:
            UserError: the disk is full; the old file stays.
        """
        with replacing(Path(path)) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = lambda storage, location: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint; see `read_checkpoint`."""
        return read_checkpoint(path, map_location)


def read_checkpoint(path: str | Path, map_location: str | torch.device | Callable = "cpu") -> dict[str, Any]:
    """Load a checkpoint as data, never as code (`weights_only=True`).

    Raises:
        UserError: there is no such file, or it is not a whole checkpoint.
    """
    try:
        return load_weights(Path(path), map_location)
    except FileNotFoundError:
        raise UserError(f"There is no checkpoint {path}; the run may have ended before it saved one.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UserError(f"{path} is not a whole checkpoint ({error}): {_remedy(Path(path))}") from error


def _remedy(damaged: Path) -> str:
    """What is left to do without that file."""
    other = damaged.with_name("best.ckpt" if damaged.name == "last.ckpt" else "last.ckpt")
    if damaged == other or not other.is_file():
        return "train anew"
    if other.name == "best.ckpt":
        return f"copy {other.name} beside it over it, or train anew"
    return f"remove it, and {other.name} beside it is used, or train anew"


def link_atomically(source: Path, target: Path) -> None:
    """Let `target` be the same file as `source`; where the disk knows no hard links, a copy.

    Later versions replace either name by a new file, so neither changes through the other.
    """
    temporary = target.with_name(f".{target.name}{PARTIAL}")
    temporary.unlink(missing_ok=True)
    with explaining_full_disk(target):
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
        temporary.replace(target)
