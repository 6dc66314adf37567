"""What a collected table looks like: nothing measured without its budget, nothing published without its mark."""

from pathlib import Path
from typing import Any

import pytest

from genmodels.tables import BUDGETS, collect, draw, in_markdown, load_table

TABLES = Path(__file__).parents[2] / "experiments" / "tables"
FIGURE = {
    "value": 7.25,
    "standard_error": 0.05,
    "over": "examples",
    "unit": "bits/dim",
    "kind": "bound",
    "direction": "lower",
    "name": "bits_per_dim",
}
RUN = {
    "run": "t/smoke/glow__cifar10",
    "run_id": "abc",
    "git": {"commit": "0123456789", "dirty": False},
    "model": "glow_small-cifar10",
    "seed": 0,
    "steps": 100,
    "images_seen": 3200,
    "cpu_hours": 0.01,
    "parameters": 1234,
    "figures": {},
}


def table(
    shipped: str, folder: Path, row: str, column: str, figure: str = "bits/dim", **changes: Any
) -> dict[str, Any]:
    """A shipped one of which one cell has been run."""
    found = collect(load_table(TABLES / f"{shipped}.yaml"), [0], BUDGETS["smoke"], folder)
    (cell,) = (cell for cell in found["cells"] if (cell["row"], cell["column"]) == (row, column))
    cell.update(status="finished", runs=[RUN], figures={figure: FIGURE | changes})
    return found


def rows_of(text: str) -> dict[str, list[str]]:
    lines = text.partition("## Runs")[0].splitlines()
    cells = ([part.strip() for part in line.split("|")[1:-1]] for line in lines if line.startswith("|"))
    return {row[1]: row for row in cells}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "≤ 7.250 ± 0.050 (smoke)"),
        ({"kind": "exact"}, "7.250 ± 0.050 (smoke)"),
        ({"direction": "higher"}, "≥ 7.250 ± 0.050 (smoke)"),
        ({"kind": "exact", "standard_error": None}, "7.250 (smoke)"),
        ({"value": -137.283, "standard_error": 0.48}, "≤ -137.28 ± 0.48 (smoke)"),
        ({"over": "3 seeds"}, "≤ 7.250 ± 0.050 (smoke, 3 seeds)"),
    ],
)
def test_a_measured_figure_never_stands_without_its_budget(tmp_path: Path, changes: Any, text: str) -> None:
    rows = rows_of(in_markdown(table("flowpp_table1", tmp_path, "glow", "cifar10", **changes)))
    assert rows["model"][2:4] == ["CIFAR-10 published", "CIFAR-10 measured"]
    assert rows["Glow"][2:6] == ["3.35", text, "4.09", "not run"]
    assert rows["PixelRNN"][2] == "3.00"
    assert rows["IAF-VAE"] == ["", "IAF-VAE", "3.11", "not run", "", "", "", ""]


def test_columns_of_which_nothing_is_known_are_named_below(tmp_path: Path) -> None:
    text = in_markdown(table("all_families", tmp_path, "glow", "digits"))
    assert rows_of(text)["model"] == ["family", "model", "digits bits/dim measured"]
    assert "\nNot run: CIFAR-10.\n" in text
    new = in_markdown(collect(load_table(TABLES / "all_families.yaml"), [0], BUDGETS["smoke"], tmp_path))
    assert len(rows_of(new)["model"]) == 6
    assert "Not run:" not in new


def test_parts_and_protocols_have_columns_of_their_own(tmp_path: Path) -> None:
    text = in_markdown(collect(load_table(TABLES / "elbo_surgery.yaml"), [0], BUDGETS["smoke"], tmp_path))
    assert "| 10 latents | -88.95† | not run | 19.17† | not run | 10.82† | not run | 8.35† | not run |" in text
    text = in_markdown(collect(load_table(TABLES / "gans_cifar10.yaml"), [0], BUDGETS["smoke"], tmp_path))
    assert "| SN-GAN | 21.7† | 5,000 samples against 10,000 images | not run |  |" in text


def test_a_distance_of_other_features_is_called_by_its_name(tmp_path: Path) -> None:
    found = table("gans_cifar10", tmp_path, "sn_gan", "", "FID", name="fid_small", kind="estimate", standard_error=None)
    assert "| SN-GAN | 21.7† | 5,000 samples against 10,000 images | 7.250 fid_small (smoke) |" in in_markdown(found)
    same = table("gans_cifar10", tmp_path, "sn_gan", "", "FID", name="fid", kind="estimate", standard_error=None)
    assert "| 7.250 (smoke) |" in in_markdown(same)


def test_a_figure_of_another_kind_is_told_below_and_not_beside(tmp_path: Path) -> None:
    """The log-likelihoods in logit space of MAF's paper are no bits/dim."""
    (tmp_path / "t.yaml").write_text(
        "title: T\nfigures: [{figure: bits_per_dim, title: bits/dim}]\nrows: [{name: MAF, experiment: maf10_cifar10}]\n"
    )
    text = in_markdown(collect(load_table(tmp_path / "t.yaml"), [0], BUDGETS["smoke"], tmp_path))
    assert "| MAF | not run |" in text
    assert "3049 log_likelihood_logit_space" in text


def test_the_picture_is_drawn_where_there_is_something_to_see(tmp_path: Path) -> None:
    nothing = collect(load_table(TABLES / "all_families.yaml"), [0], BUDGETS["smoke"], tmp_path)
    assert not draw(nothing, tmp_path / "nothing.png")
    assert not (tmp_path / "nothing.png").exists()
    assert draw(table("flowpp_table1", tmp_path, "glow", "cifar10"), tmp_path / "some.png")
    assert (tmp_path / "some.png").read_bytes().startswith(b"\x89PNG")
