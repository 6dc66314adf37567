"""Rows that no density can be fitted to are told where they lie, before anything is blamed on the training."""

from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from tiny_files import write_bsds300, write_gas, write_hepmass, write_miniboone, write_power

from genmodels.data import DataModule, Examples, Source
from genmodels.data.source import Options
from genmodels.data.sources import SOURCES, source_for
from genmodels.errors import UserError


def refused(root: Path, name: str) -> str:
    with pytest.raises(UserError) as caught:
        source_for(Options(name, root)).read("train")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (np.nan, "row 17, column 2 is nan)"),
        (np.inf, "row 17, column 2 is inf)"),
        (None, "column 2 is 0.25 in every row)"),
    ],
)
def test_arrays_name_row_and_column(tmp_path: Path, value: float | None, told: str) -> None:
    write_power(tmp_path)
    write_miniboone(tmp_path)
    for name in ("power", "miniboone"):
        path = tmp_path / name / "data.npy"
        data = np.load(path)
        data[17 if value is not None else slice(None), 2] = 0.25 if value is None else value
        np.save(path, data)
        if (name, value) != ("power", None):  # noise as wide as the last digit is added to that column
            assert f"corrupt file, {path} ({told}" in refused(tmp_path, name)


def test_data_frames_name_the_column_as_their_header_does(tmp_path: Path) -> None:
    write_gas(tmp_path)
    path = tmp_path / "gas" / "ethylene_CO.pickle"
    whole = pandas.read_pickle(path)
    for column, values, told in (
        ("sensor4", [np.nan, *whole["sensor4"][1:]], "row 0, column 'sensor4' is nan"),
        ("sensor4", 0.5, "column 'sensor4' is 0.5 in every row"),
        ("sensor4", ["1.5", "high", *whole["sensor4"][2:].astype(str)], "column 'sensor4' holds '1.5' (row 0) and not"),
    ):
        whole.assign(**{column: values}).to_pickle(path)
        assert told in refused(tmp_path, "gas")
    write_hepmass(tmp_path)
    path = tmp_path / "hepmass" / "1000_train.csv"
    lines = path.read_text().splitlines()
    lines[3] = ",".join(["1", "text", *lines[3].split(",")[2:]])
    path.write_text("\n".join(lines))
    assert f"corrupt file, {path} (column 'f0' holds" in refused(tmp_path, "hepmass")


def test_columns_that_are_not_used_may_hold_anything(tmp_path: Path) -> None:
    write_gas(tmp_path)
    path = tmp_path / "gas" / "ethylene_CO.pickle"
    pandas.read_pickle(path).assign(Time=np.nan, Meth="no").to_pickle(path)
    assert len(source_for(Options("gas", tmp_path)).read("train")) == 243


def test_the_parts_of_a_file_are_searched_in_turn(tmp_path: Path) -> None:
    import h5py

    write_bsds300(tmp_path)
    with h5py.File(tmp_path / "BSDS300" / "BSDS300.hdf5", "r+") as file:
        file["validation"][3, 5] = np.inf
    assert "(row 3, column 5 is inf)" in refused(tmp_path, "bsds300")


class Rows(Source):
    """A user's own."""

    title = "rows"
    levels = None
    x: torch.Tensor

    def read(self, part: str) -> Examples:
        return Examples(self.x)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ([(3, 1, torch.nan)], "must give finite numbers only: in its train part, row 3, column 1 is nan."),
        ([(3, 1, torch.inf), (7, 0, -torch.inf)], "row 3, column 1 is inf, and 1 more numbers are not finite."),
        ([(slice(None), 1, 2.5)], "cannot be fitted: in its train part, column 1 is 2.5 in every row, so that no"),
    ],
)
def test_a_users_own_rows_are_checked(monkeypatch: pytest.MonkeyPatch, change: list, told: str) -> None:
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    for row, column, value in change:
        x[row, column] = value
    monkeypatch.setattr(Rows, "x", x, raising=False)
    monkeypatch.setitem(SOURCES, "rows", Rows)
    with pytest.raises(UserError) as caught:
        DataModule("rows", [2], None, None, "data", 4, 4).train_dataloader()
    assert told in str(caught.value)
