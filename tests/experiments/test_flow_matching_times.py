"""The times that are laid side by side, and a training of a moment."""

import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "experiments" / "flow_matching.py"))


def test_seconds_to_a_goal_lie_between_measurements() -> None:
    curve = [(1.0, 3.0), (4.0, 2.0), (16.0, 1.0)]
    assert SCRIPT["seconds_to"](curve, 2.0) == pytest.approx(4.0)
    assert SCRIPT["seconds_to"](curve, 1.5) == pytest.approx(8.0)  # half the way in the logarithm
    assert SCRIPT["seconds_to"](curve, 0.5) is None


def test_a_way_that_is_better_from_the_first_measurement_on_needs_no_longer_than_that() -> None:
    assert SCRIPT["seconds_to"]([(1.0, 3.0), (4.0, 2.0)], 3.5) == pytest.approx(1.0)


def test_the_table_says_when_each_came_there() -> None:
    found = {"pinwheel": {"likelihood": [(1.0, 3.0), (9.0, 2.5)], "flow matching": [(1.0, 3.0), (4.0, 2.0)]}}
    found["pinwheel"]["at once"] = [(0.5, 2.4), (4.0, 2.0)]
    rows = SCRIPT["table"](found).splitlines()[-3:]
    assert rows == [
        "| pinwheel | likelihood | 9 | 2.500 nats | 9.0 |",
        "| pinwheel | flow matching | 4 | 2.000 nats | 2.0 |",
        "| pinwheel | at once | 4 | 2.000 nats | at most 0.5 |",
    ]


def test_a_moment_of_training_measures_on_the_way() -> None:
    make, train, test = SCRIPT["points"]()
    _, curve = SCRIPT["run"](make, "flow matching", (train, test[:50]), 64, 0.5)
    assert [spent for spent, _ in curve] == sorted(spent for spent, _ in curve)
    assert curve[-1][0] >= 0.5
    assert curve[-1][1] < curve[0][1]
