"""Read the file of an offline wandb run, which wandb itself no longer offers.

The file is a LevelDB log: after a 7-byte header come blocks of 32 KiB, in which a record is one or several fragments,
each with a header of crc32, length and kind (1 whole, 2 first, 3 middle, 4 last). Records are protocol buffers.
"""

import json
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

_BLOCK = 32 * 1024
_FILE_HEADER = struct.Struct("<4sHB")
_HEADER = struct.Struct("<IHB")


@dataclass
class OfflineRun:
    """What a file holds of its run: `history` has one dict per logged row; `ended` with the last record of all.

    `best` says by metric which value the summary keeps, where that is not the last.
    """

    id: str = ""
    group: str = ""
    tags: list[str] = field(default_factory=list)
    ended: bool = False
    exit_code: int | None = None
    best: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)

    def series(self, name: str) -> tuple[list[int], list[float]]:
        """Optimiser steps and values of a metric."""
        rows = [row for row in self.history if name in row]
        return [row["trainer/global_step"] for row in rows], [row[name] for row in rows]


def read(path: Path, patience: float = 30.0) -> OfflineRun:
    """The run in a file, waited for: wandb's own process may still write when `finish()` is over.

    Args:
        patience: seconds to wait for the end.
    """
    deadline = time.monotonic() + patience
    while not (run := _read(path)).ended and time.monotonic() < deadline:
        time.sleep(0.1)
    return run


def _read(path: Path) -> OfflineRun:
    run = OfflineRun()
    for record in _records(path.read_bytes()):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.id, run.group, run.tags = record.run.run_id, record.run.run_group, list(record.run.tags)
            run.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "history":
            items = record.history.item
            run.history.append({i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in items})
        elif kind == "metric":
            kept = record.metric.summary
            if kept.min or kept.max:
                run.best[record.metric.name] = "min" if kept.min else "max"
        elif kind == "summary":
            items = record.summary.update
            run.summary |= {i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in items}
        elif kind == "exit":
            run.ended, run.exit_code = True, record.exit.exit_code
    return run


def _records(data: bytes) -> Iterator[Record]:
    assert data[:4] in (b":W&B", b"")
    position, parts = _FILE_HEADER.size, b""
    while position + _HEADER.size <= len(data):
        if _BLOCK - position % _BLOCK < _HEADER.size:  # no header begins in the last bytes of a block
            position += _BLOCK - position % _BLOCK
            continue
        checksum, length, kind = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        body = data[position : position + length]
        if len(body) < length:  # still being written
            return
        position += length
        assert checksum == zlib.crc32(bytes([kind]) + body)
        parts = body if kind in (1, 2) else parts + body
        if kind in (1, 4):
            record = Record()
            record.ParseFromString(parts)
            yield record
