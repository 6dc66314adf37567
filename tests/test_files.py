"""Files that are whole or absent."""

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from genmodels.files import remove_leftovers, replacing, write_text


def _write_half(file: BinaryIO) -> None:
    file.write(b"half")
    raise ZeroDivisionError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "run.json", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "run.json", "new \ud800")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "run.json") as file:
        _write_half(file)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("run.json", "old")]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file"
    write_text(path, "old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_everybody_may_read_what_was_written(tmp_path: Path) -> None:
    """As of any other file: what the umask leaves."""
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    """And the file itself is not."""
    with replacing(tmp_path / "file") as file:
        file.write(b"new")
        (half,) = tmp_path.iterdir()
        os.link(half, tmp_path / half.name.replace(".file.", ".other."))
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_who_reads_the_old_file_reads_it_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_text(path, "old")
    with path.open() as file:
        write_text(path, "new")
        assert file.read() == "old"
    assert path.read_text() == "new"
