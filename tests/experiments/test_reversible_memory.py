"""What the experiment writes; the counting itself is tested with the bijections."""

import json
import runpy
from pathlib import Path

import pytest
import torch

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "experiments" / "reversible_memory.py"))


def test_rows_and_picture(tmp_path: Path) -> None:
    rows = SCRIPT["main"](tmp_path, depths=(2, 4), repeats=1)
    assert [(row["num_steps"], row["way"]) for row in rows] == [
        (2, "kept"),
        (2, "reversible"),
        (4, "kept"),
        (4, "reversible"),
    ]
    assert rows[1]["peak"] == rows[3]["peak"] <= rows[0]["peak"] < rows[2]["peak"]
    assert all(0 < row["gradients_apart"] < 1e-3 for row in rows[1::2])
    assert json.loads((tmp_path / "reversible_memory.json").read_text())["rows"] == rows
    assert (tmp_path / "reversible_memory.png").stat().st_size > 10_000


def test_a_storage_is_counted_once_however_often_it_is_viewed() -> None:
    x = torch.zeros(250)
    with SCRIPT["MemoryLog"]() as log:
        y = x.view(5, 50) + 1.0
        z = y.t().reshape(-1, 1).squeeze()[:3]
        del y
    alive = SCRIPT["live"](log.events, set())
    assert max(alive) == 2000  # the sum, and its transposed copy
    assert alive[-1] == 1000
    del z
    assert SCRIPT["live"](log.events, set())[-1] == 0
    assert SCRIPT["live"](log.events, {log.events[0][0]})[-1] == pytest.approx(0)
