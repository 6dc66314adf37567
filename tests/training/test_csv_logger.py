"""metrics.csv is whole after whatever may have happened to it."""

import csv
from pathlib import Path

import pytest

from genmodels.training.csv_logger import CSVMetrics, read_rows, read_series

HEADER = "step,epoch,name,value\n"
ROWS = HEADER + "1,0,a,0.5\n"


def test_csv_rows_are_tidy_and_survive_a_rewind(tmp_path: Path) -> None:
    log = CSVMetrics(tmp_path / "run")
    log.log_metrics({"a": 0.1, "b": float("nan"), "epoch": 0}, step=1)
    kept = log.size()
    log.log_metrics({"a": 0.2, "epoch": 1}, step=2)
    log.rewind(kept)
    log.log_metrics({"a": 0.3, "epoch": 1}, step=2)
    with log.path.open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["step", "epoch", "name", "value"],
            ["1", "0", "a", "0.1"],
            ["1", "0", "b", "nan"],
            ["2", "1", "a", "0.3"],
        ]


def test_final_figures_of_a_run_that_has_nothing_left_to_train_are_of_its_last_epoch(tmp_path: Path) -> None:
    first = CSVMetrics(tmp_path)
    first.log_metrics({"a": 0.1, "epoch": 5}, step=9)
    resumed = CSVMetrics(tmp_path)
    resumed.rewind(first.size())
    resumed.log_final({"test/a": 0.2}, step=9)
    assert resumed.path.read_text().splitlines()[-1] == "9,5,test/a,0.2"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("", HEADER),
        ("step,epo", HEADER),
        (HEADER, HEADER),
        (ROWS, ROWS),
        (ROWS + "2,0,a,0.12", ROWS),
        (ROWS + "2,0,a" + "x" * 10_000, ROWS),
        (None, HEADER),
    ],
    ids=["empty", "half a header", "header", "whole", "half a row", "a long half", "no file"],
)
def test_rows_are_added_to_whatever_is_there(found: str | None, expected: str, tmp_path: Path) -> None:
    log = CSVMetrics(tmp_path)
    if found is not None:
        log.path.write_text(found)
    log.log_metrics({"a": 0.25, "epoch": 1}, step=7)
    assert log.path.read_text() == expected + "7,1,a,0.25\n"


@pytest.mark.parametrize("size", [0, len(HEADER), len(HEADER) + 3, len(ROWS), len(ROWS) + 100])
def test_a_rewind_to_anywhere_leaves_whole_rows(size: int, tmp_path: Path) -> None:
    log = CSVMetrics(tmp_path)
    log.path.write_text(ROWS)
    log.rewind(size)
    log.log_metrics({"a": 0.25, "epoch": 1}, step=7)
    kept = ROWS if size >= len(ROWS) else HEADER
    assert log.path.read_text() == kept + "7,1,a,0.25\n"


def test_a_rewind_of_a_file_that_is_gone(tmp_path: Path) -> None:
    CSVMetrics(tmp_path).rewind(100)
    assert not (tmp_path / "metrics.csv").exists()


def test_what_is_no_whole_row_is_not_read(tmp_path: Path) -> None:
    """No header, a row glued to the half of another, and a value that lacks its last digits."""
    path = tmp_path / "metrics.csv"
    path.write_text("1,0,a,0.5\n2,0,tra3,0,a,0.25\n4,1,a,nan\n5,1,a,0.12")
    rows = read_rows(path)
    assert [row[:3] for row in rows] == [(1, 0, "a"), (4, 1, "a")]
    assert rows[0][3] == 0.5
    assert read_rows(tmp_path / "none.csv") == []


def test_figures_of_older_runs_are_read_under_todays_names(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(HEADER + "1,0,learning_rate,0.5\r\n1,0,grad_norm,2.0\n2,0,train/learning_rate,0.25\n")
    assert read_series(path) == {"train/learning_rate": ([1, 2], [0.5, 0.25]), "train/grad_norm": ([1], [2.0])}
