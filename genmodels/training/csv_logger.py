"""metrics.csv: one tidy row per figure, which survives kills, full disks and resumptions."""

import csv
import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only

from genmodels.files import explaining_full_disk
from genmodels.training.run_logger import RunLogger

_LARGEST = 2**28  # bytes, some six million rows, which take five times as much memory
COLUMNS = ("step", "epoch", "name", "value")

OLD_NAMES = {  # as runs logged before the names got a group in front
    "learning_rate": "train/learning_rate",
    "grad_norm": "train/grad_norm",
    "skipped_steps": "train/skipped_steps",
    "images_per_second": "time/images_per_second",
}

Row = tuple[int, int, str, float]  # step, epoch, name, value
Series = dict[str, tuple[list[int], list[float]]]


class CSVMetrics(RunLogger):
    """Appends one row `step,epoch,name,value` per metric to <folder>/metrics.csv, flushed at once.

    Raises:
        UserError: the disk is full.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self._epoch = 0

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._epoch = int(metrics.get("epoch", self._epoch))
        rows = [(step, self._epoch, name, repr(float(value))) for name, value in metrics.items() if name != "epoch"]
        with explaining_full_disk(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _drop_unfinished_row(self.path)
            with self.path.open("a", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                if file.tell() == 0:
                    writer.writerow(COLUMNS)
                writer.writerows(rows)

    def size(self) -> int:
        """Bytes written so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    @rank_zero_only
    def rewind(self, size: int) -> None:
        """Forget every row after the first `size` bytes; of a file that has lost more than that, nothing."""
        if self.size() > size:
            os.truncate(self.path, size)
        rows = read_rows(self.path) if self.path.is_file() else []
        self._epoch = rows[-1][1] if rows else 0  # that of final figures, where nothing is left to be trained


def read_rows(path: Path) -> list[Row]:
    """The rows of a metrics.csv in the order logged, under today's names; none if there is no such file.

    What is no whole row is passed over: the header, and what kills have cut short.

    Raises:
        ValueError: it is larger than any run's, or no file.
    """
    if not path.exists():
        return []
    if not path.is_file() or path.stat().st_size > _LARGEST:
        raise ValueError(f"{path} is not a file of at most {_LARGEST:,} bytes")
    rows: list[Row] = []
    with suppress(csv.Error), path.open(errors="replace", newline="") as file:  # a quote without end: no row follows it
        for row in csv.reader(line for line in file if line.endswith("\n")):
            with suppress(ValueError):
                step, epoch, name, value = row
                rows.append((int(step), int(epoch), OLD_NAMES.get(name, name), float(value)))
    return rows


def read_series(path: Path) -> Series:
    """The same as {name: (steps, values)}."""
    series: Series = defaultdict(lambda: ([], []))
    for step, _, name, value in read_rows(path):
        steps, values = series[name]
        steps.append(step)
        values.append(value)
    return dict(series)


def _drop_unfinished_row(path: Path) -> None:
    """Cut off what a kill or a full disk has left of a row: a value without its last digits would be a wrong one."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 4096)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        file.truncate(end)
