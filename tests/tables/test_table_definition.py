"""A table's YAML: what it means, what is told of mistakes, and that the shipped ones hold together."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from genmodels.config.checks import check
from genmodels.config.compose import CONFIG_DIR, compose
from genmodels.errors import UserError
from genmodels.tables import BUDGETS, collect, in_markdown, load_table
from genmodels.tables.budgets import settings
from genmodels.tables.definition import published, slug
from genmodels.tables.plan import overrides_of

SHIPPED = sorted((Path(__file__).parents[2] / "experiments" / "tables").glob("*.yaml"))
FIGURES = [{"figure": "bits_per_dim", "title": "bits/dim"}]
VECTORS_ALONE = {"gmm", "planar", "radial", "ffjord_vectors"}
FLOWPP = {  # as in the lecture on it; MARKS are empty, since these are confirmed
    "realnvp": ("3.49", "4.28"),
    "glow": ("3.35", "4.09", "3.81"),
    "iaf_vae": ("3.11",),
    "flowpp": ("3.08", "3.86", "3.69"),
    "multiscale_pixelcnn": ("3.95", "3.7"),
    "pixelcnn": ("3.14",),
    "pixelrnn": ("3", "3.86", "3.63"),
    "gated_pixelcnn": ("3.03", "3.83", "3.57"),
    "pixelcnnpp": ("2.92",),
    "image_transformer": ("2.9", "3.77"),
    "pixelsnail": ("2.85", "3.8", "3.52"),
}


def written(folder: Path, **content: Any) -> Path:
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump({"title": "Mine", "figures": FIGURES, **content}))
    return file


def test_a_cell_takes_what_its_column_and_its_row_say_and_its_own_last(tmp_path: Path) -> None:
    columns = {"digits": {"data": "digits", "overrides": ["a=1"]}, "cifar10": {"title": "CIFAR-10", "data": "cifar10"}}
    rows = [
        {"name": "Glow", "model": "glow", "overrides": ["b=2"]},
        {"name": "PixelCNN++", "cells": {"digits": {"model": "nice", "data": "mnist"}, "cifar10": "glow_cifar10"}},
        {"name": "None yet", "missing": "no model"},
        {"name": "One", "cells": {"cifar10": "glow_cifar10"}},
    ]
    table = load_table(written(tmp_path, columns=columns, rows=rows))
    cells = {(cell.row, cell.column): cell.source for cell in table.cells}
    found = {key: s and (s.experiment, s.model, s.data, s.overrides, s.missing) for key, s in cells.items()}
    assert found == {
        ("glow", "digits"): (None, "glow", "digits", ["a=1", "b=2"], None),
        ("glow", "cifar10"): (None, "glow", "cifar10", ["b=2"], None),
        ("pixelcnnpp", "digits"): (None, "nice", "mnist", ["a=1"], None),
        ("pixelcnnpp", "cifar10"): ("glow_cifar10", None, None, [], None),
        ("none_yet", "digits"): (None, None, "digits", ["a=1"], "no model"),
        ("none_yet", "cifar10"): (None, None, "cifar10", [], "no model"),
        ("one", "digits"): None,
        ("one", "cifar10"): ("glow_cifar10", None, None, [], None),
    }
    assert table.columns == {"digits": "digits", "cifar10": "CIFAR-10"}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"name": "Glow", "model": "glow"}], "glow needs an experiment, or a model and data, or missing: <why>"),
        ([{"name": "Glow", "experiment": "glow_cifar1"}], "no experiment=glow_cifar1: did you mean glow_cifar10?"),
        ([{"name": "Glow", "model": "glwo", "data": "digits"}], "there is no model=glwo: did you mean glow?"),
        ([{"name": "A", "missing": "x"}, {"name": "a", "missing": "x"}], "rows[1].name must be given, and be another"),
        ([{"name": "A", "mising": "x"}], "unknown key rows[0].mising: did you mean rows[0].missing?"),
        ([{"name": "A", "cells": {"c": "glow_cifar10"}}], "a.cells.c: the columns are"),
        ([{"name": "A", "experiment": "glow_cifar10", "published": {"value": 1}}], "published.metric is missing"),
        ("rows", "rows must be a list"),
    ],
)
def test_a_mistake_is_a_sentence(tmp_path: Path, rows: Any, sentence: str) -> None:
    with pytest.raises(UserError) as told:
        load_table(written(tmp_path, rows=rows))
    assert sentence in str(told.value)
    assert "mine.yaml" in str(told.value)


def test_comments_are_on_budgets(tmp_path: Path) -> None:
    rows = [{"name": "A", "experiment": "glow_cifar10"}]
    table = load_table(written(tmp_path, rows=rows, comments={"laptop": "Glow leads, being fastest."}))
    for budget, is_said in (("laptop", True), ("smoke", False)):
        text = in_markdown(collect(table, [0], BUDGETS[budget], tmp_path))
        assert ("\nGlow leads, being fastest.\n" in text) is is_said
    with pytest.raises(UserError, match=r"comments: budget=labtop does not exist: did you mean laptop\?"):
        load_table(written(tmp_path, rows=rows, comments={"labtop": "x"}))


def test_a_table_holds_no_copy_of_an_experiments_figure(tmp_path: Path) -> None:
    own = {"metric": "bits_per_dim", "value": 3.0, "source": "mine", "status": "recalled"}
    with pytest.raises(UserError, match="published belongs to the experiment"):
        load_table(written(tmp_path, rows=[{"name": "A", "experiment": "glow_cifar10", "published": own}]))


def test_a_table_that_does_not_exist_names_its_neighbour() -> None:
    with pytest.raises(UserError, match=r"table=iwea does not exist in .*: did you mean iwae\?"):
        load_table(SHIPPED[0].with_stem("iwea"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_what_is_published_stands_in_the_table_with_its_mark_and_source(file: Path, tmp_path: Path) -> None:
    table = load_table(file)
    found = collect(table, [0], BUDGETS["paper"], tmp_path)
    text = in_markdown(found)
    marks = {"confirmed": "", "second_hand": "†", "recalled": "‡"}
    for cell in table.cells:
        figure = published(cell.source)
        if figure is None:
            continue
        (row,) = (line for line in text.splitlines() if f"| {table.rows[cell.row]} |" in line)
        mark = marks[figure["status"]]
        shown = [part.strip() for part in row.split("|")]
        assert any(part.removesuffix(mark) in (f"{figure['value']:g}", f"{figure['value']:.2f}") for part in shown)
        assert not mark or any(part.endswith(mark) for part in shown)
        assert f"{figure['source']} ({figure['status'].replace('_', ' ')}" in text
    assert "(paper)" not in text  # nothing has been run


def test_the_table_of_flowpp_has_the_lectures_figures(tmp_path: Path) -> None:
    (file,) = (file for file in SHIPPED if file.stem == "flowpp_table1")
    cells = collect(load_table(file), [0], BUDGETS["paper"], tmp_path)["cells"]
    found = {
        row: tuple(f"{cell['published']['value']:g}" for cell in cells if cell["row"] == row and cell["published"])
        for row in FLOWPP
    }
    assert {**found, "realnvp": found["realnvp"][:2]} == FLOWPP  # RealNVP's own paper has ImageNet 64 too


def test_every_model_of_images_is_on_the_page_of_all_families() -> None:
    (file,) = (file for file in SHIPPED if file.stem == "all_families")
    text = file.read_text()
    rows = yaml.safe_load(text)["rows"]
    shown = {row.get("model") or next(iter(row.get("cells", {}).values()), {}).get("model") for row in rows}
    there_is = {f.stem for f in (CONFIG_DIR / "model").glob("*.yaml") if not f.stem.endswith("_small")}
    assert there_is - shown == VECTORS_ALONE | {"cyclegan"}
    assert "CycleGAN" in text


@pytest.mark.slow
@pytest.mark.parametrize("budget", ["smoke", "gpu_hour"])
@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_cell_composes_at_every_budget(file: Path, budget: str) -> None:
    table, given = load_table(file), BUDGETS[budget]
    for cell in table.cells:
        if cell.source is not None and cell.source.missing is None:
            chosen = overrides_of(cell.source, 0, given)
            overrides = [*chosen, *settings(compose(chosen), given, table.metrics)]
            check(compose([*overrides, "trainer.max_steps=100", "trainer.val_check_interval=25"]))


def test_names_of_rows() -> None:
    assert [slug(title) for title in ("PixelCNN++", "MAF (5)", "i-ResNet", "VAE, k = 50")] == [
        "pixelcnnpp",
        "maf_5",
        "i_resnet",
        "vae_k_50",
    ]
