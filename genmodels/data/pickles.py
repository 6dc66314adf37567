"""Pickles of arrays and of tables, read without running what else a pickle may ask for.

A pickle calls whatever it names, and no checksums of these files are published. So it may name what numpy and pandas
rebuild their objects with and nothing more; of these, an array or dtype is not made as the pickle likes: numpy would
take bytes of the file for the addresses of objects.
"""

import pickle
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

_OF_PANDAS = frozenset(
    {
        *("DataFrame", "BlockManager", "_unpickle_block", "new_block", "Index"),
        *("Int64Index", "UInt64Index", "Float64Index"),
        *("__pyx_unpickle_NDArrayBacked", "StringArray", "StringDtype"),  # of the columns' names
    }
)
_PLAIN = re.compile("[biufO][0-9]*")  # codes of dtypes


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """A pickled dictionary of arrays and flat lists of numbers, all as arrays.

    Raises:
        pickle.UnpicklingError: it asks for something else.
        Exception: it is damaged or something else, in whatever way Python notices.
    """
    with path.open("rb") as file:
        content = _ArrayUnpickler(file, encoding="latin1").load()
    if not isinstance(content, dict):
        raise ValueError("it is no dictionary of arrays")
    return {key: _array(value) for key, value in content.items() if isinstance(value, list | np.ndarray)}


def read_frame(path: Path, pandas: ModuleType) -> Any:
    """A pickled `pandas.DataFrame`, of this or an older pandas.

    Raises:
        pickle.UnpicklingError: it asks for something else.
        Exception: it is damaged, or of a pandas whose pickles this one cannot read.
    """
    from pandas.compat.pickle_compat import Unpickler  # knows the names of older versions
    from pandas.core.indexes.base import _new_Index

    largest = path.stat().st_size

    class Range:
        """Stands for RangeIndex, of which a few bytes name any length."""

    def new_index(kind: type, state: dict[str, Any]) -> Any:
        if kind is not Range:
            return _new_Index(kind, state)
        rows = range(state["start"], state["stop"], state["step"])
        if len(rows) > largest:
            raise pickle.UnpicklingError("it has an index longer than itself")
        return pandas.RangeIndex(rows, name=state.get("name"))

    class FrameUnpickler(_ArrayUnpickler, Unpickler):
        dispatch = {**Unpickler.dispatch, pickle.BUILD[0]: _build}

        def find_class(self, module: str, name: str) -> Any:
            if f"{module}.".startswith("pandas."):
                if name in ("RangeIndex", "_new_Index"):
                    return {"RangeIndex": Range, "_new_Index": new_index}[name]
                if name in _OF_PANDAS:
                    return Unpickler.find_class(self, module, name)
            return super().find_class(module, name)

    with path.open("rb") as file:
        frame = FrameUnpickler(file, encoding="latin1").load()
    if not isinstance(frame, pandas.DataFrame):
        raise pickle.UnpicklingError("it is no DataFrame")
    return frame


class _Array:
    """Stands for numpy.ndarray, which is only named and never called."""


def _reconstruct(kind: type, shape: object, code: object) -> np.ndarray:
    return np.empty(0, np.uint8)  # its state is still to come


def _dtype(code: object, *_: object) -> np.dtype:
    if not isinstance(code, str) or not _PLAIN.fullmatch(code):
        raise pickle.UnpicklingError(f"it asks for arrays of {code!r}")
    return np.dtype(code, copy=True)  # a state may be set


def _build(unpickler: Any) -> None:
    """The opcode that gives an object its state."""
    inst = unpickler.stack[-2]
    if isinstance(inst, np.dtype):
        state = unpickler.stack.pop()
        if inst.kind != "O":
            inst.__setstate__((3, state[1], None, None, None, -1, -1, 0))  # type: ignore[attr-defined]  # the byte order alone
    elif isinstance(inst, type) or callable(inst):
        raise pickle.UnpicklingError("it changes a class or a function")
    else:
        pickle._Unpickler.load_build(unpickler)  # type: ignore[attr-defined]


class _ArrayUnpickler(pickle._Unpickler):  # of C's the opcodes cannot be overridden
    dispatch = {**pickle._Unpickler.dispatch, pickle.BUILD[0]: _build}

    def find_class(self, module: str, name: str) -> Any:
        ours = {"ndarray": _Array, "dtype": _dtype, "_reconstruct": _reconstruct}
        if f"{module}.".startswith("numpy."):
            if name in ours:
                return ours[name]
            if name in ("_frombuffer", "scalar"):
                return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if name in ("slice", "object") and module in ("builtins", "__builtin__"):
            return {"slice": slice, "object": object}[name]
        if (module, name) in (("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor")):  # objects of Python 2
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the codec {encoding}")
    return text.encode(encoding)


def _array(value: list | np.ndarray) -> np.ndarray:
    # A few lists in one another would make an array of any size.
    if isinstance(value, list) and not all(isinstance(item, int | float | np.number) for item in value):
        raise ValueError("it holds lists of something else than numbers")
    return np.asarray(value)
