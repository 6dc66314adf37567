"""Files of weights as data: nothing in them runs, and they unfold to no more than they are."""

import codecs
import pickle
import pickletools
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_TIED = 4  # names of one weight


def load_weights(path: Path, map_location: str | torch.device | Callable = "cpu") -> Any:
    """What `torch.save` has written.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is truncated, damaged, something else, holds code, or is made to fill the memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = path.stat().st_size
            if sum(entry.file_size for entry in archive.infolist()) > size:  # torch.save compresses nothing
                raise ValueError("it unfolds to more than its own size")
            if archive.testzip() is not None:  # torch.load itself ignores the checksums
                raise ValueError("it is damaged")
            for name in archive.namelist():
                if name.endswith("data.pkl"):
                    _hold_calls(archive.read(name))
        loaded = torch.load(path, map_location=map_location, weights_only=True)
    except (
        zipfile.BadZipFile,
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        MemoryError,
        NotImplementedError,
    ) as error:
        raise ValueError("it is truncated, damaged or no file of weights") from error
    _hold_to_size(loaded, size)
    return loaded


def _hold_calls(pickled: bytes) -> None:
    """Raise ValueError for a pickle that may make long bytes of short ones, by calls that `weights_only` allows."""
    opcodes = [(opcode.name, argument) for opcode, argument, _ in pickletools.genops(pickled)]
    called = {argument for name, argument in opcodes if name == "GLOBAL"}
    if called & {"builtins bytearray", "__builtin__ bytearray"}:
        raise ValueError("it asks for a bytearray")
    if "_codecs encode" in called and any(_lengthens(str(text)) for name, text in opcodes if "UNICODE" in name):
        raise ValueError("it asks for a codec")


def _lengthens(text: str) -> bool:
    """Whether it names a codec of bytes whose result can be encoded again, and is longer each time."""
    try:
        return codecs.lookup(text[:100]).name in ("hex", "base64", "quopri", "uu")
    except (LookupError, ValueError):
        return False


def _hold_to_size(loaded: object, size: int) -> None:
    """Raise ValueError where walking through all of it meets far more than the file has bytes.

    Weights that are tied lie in the file once and are met under each of their names.

    A few lists that hold one another many times, or one number under a shape of thousands of millions, take no memory
    before they are copied, as a resumed optimiser does.
    """
    left, waiting = _TIED * size, [loaded]
    while waiting:
        found = waiting.pop()
        left -= found.numel() * found.element_size() if isinstance(found, Tensor) else 1
        if left < 0:
            raise ValueError("it unfolds to more than its own size")
        if isinstance(found, Mapping):
            waiting += found.values()
        elif isinstance(found, list | tuple | set):
            waiting += found
