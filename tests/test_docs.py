"""What the pages of docs/ name exists: links, files, classes, rows of tables; and the site builds from them."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from command_line import ROOT
from documented import pages

from genmodels.config.compose import CONFIG_DIR, group_names

LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"`((?:genmodels|conf|tests|experiments|docs)/[\w/.-]*\w\.(?:py|yaml|md|png))`")
NAME = re.compile(r"`(_?[A-Z]\w+)`")
DOCS = ROOT / "docs"
BOOK = sorted((DOCS / "book").glob("*.md"))
FAMILIES = sorted((DOCS / "families").glob("*.md"))


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_files_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    links = [target.partition("#")[0] for target in LINK.findall(text) if "://" not in target]
    assert [target for target in links if target and not (page.parent / target).exists()] == []
    assert [name for name in FILE.findall(text) if not (ROOT / name).exists()] == []


@cache
def _defined(file: str) -> set[str]:
    body = ast.walk(ast.parse((ROOT / file).read_text()))
    return {node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


@pytest.mark.parametrize("page", [page for page in BOOK if page.stem != "index"], ids=lambda page: page.stem)
def test_a_page_of_the_book_has_its_parts_and_names_what_is_where_it_says(page: Path) -> None:
    text = page.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    assert {"The idea", "See it", "In the code"} <= set(headings)
    places = 0
    for part in re.split(r"\n- |; ", text.split("## In the code")[1]):
        if not (files := FILE.findall(part)):
            continue
        classes = NAME.findall(part)
        assert [name for name in classes if name not in _defined(files[0])] == [], files[0]
        places += bool(classes)
    assert places >= 3


FIGURE = re.compile(r"\d[\d.,]* ± \d+(?:\.\d+)?")


@pytest.mark.parametrize("page", BOOK, ids=lambda page: page.stem)
def test_figures_of_the_book_are_those_that_were_measured(page: Path) -> None:
    tables = [DOCS / "results.md", DOCS / "gans.md", *(ROOT / "experiments" / "results").glob("*.md")]
    measured = {figure for table in tables for figure in FIGURE.findall(table.read_text())}
    assert [figure for figure in FIGURE.findall(page.read_text()) if figure not in measured] == []


@pytest.mark.parametrize("page", BOOK, ids=lambda page: page.stem)
def test_python_of_the_book_runs(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(block, page.name, "exec"), {})


def test_every_page_of_the_book_is_in_its_contents() -> None:
    linked = set(LINK.findall((DOCS / "book" / "index.md").read_text()))
    assert {page.name for page in BOOK if page.stem != "index"} <= linked


@pytest.mark.parametrize("start", [DOCS / "index.md", ROOT / "README.md"], ids=lambda page: page.stem)
def test_every_page_is_reached_from_the_first(start: Path) -> None:
    """Chapters of the book by its contents."""
    linked = {(start.parent / target.partition("#")[0]).resolve() for target in LINK.findall(start.read_text())}
    assert {page for page in DOCS.rglob("*.md") if page not in BOOK and page.name != "index.md"} - linked == set()
    assert DOCS / "book" / "index.md" in linked


@pytest.mark.parametrize("page", FAMILIES, ids=lambda page: page.stem)
def test_rows_of_a_family_are_those_of_all(page: Path) -> None:
    """A figure stands in two places, and is the same in both."""
    whole = {line for name in ("models.md", "results.md", "gans.md") for line in (DOCS / name).read_text().splitlines()}
    before, recipes = page.read_text().split("## Recipes")
    rows = [line for line in before.splitlines() if line.startswith("|")]
    assert len(rows) > 4
    assert [row for row in rows if row not in whole] == []
    for name, published, source in re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|$", recipes, re.MULTILINE):
        told = yaml.safe_load((CONFIG_DIR / "experiment" / f"{name}.yaml").read_text())["published"]
        status = re.search(r"\((recalled|second-hand)\)", published)
        assert (float(published.split()[0]) if published else None) == (told["value"] if told else None), name
        if told:
            assert (status[1] if status else "confirmed") == told["status"].replace("_", "-"), name
            assert source == told["source"], name


def test_every_model_and_recipe_belongs_to_a_family() -> None:
    text = "".join(page.read_text() for page in FAMILIES)
    models = {file.stem.removesuffix("_small") for file in (CONFIG_DIR / "model").glob("*.yaml")}
    recipes = {file.stem for file in (CONFIG_DIR / "experiment").glob("*.yaml")}
    assert {name for name in models | recipes if f"`{name}`" not in text} == set()


def test_links_of_the_site() -> None:
    pytest.importorskip("mkdocs")
    sys.path.insert(0, str(ROOT / "docs_tools"))
    try:
        from links import in_the_site
    finally:
        sys.path.pop(0)
    picture = "experiments/results/x.png"
    assert in_the_site(f"../{picture}", "results.md") == picture
    assert in_the_site(f"../../{picture}", "book/gans.md") == f"../{picture}"
    assert in_the_site("../gans.md", "book/gans.md") == "../gans.md"
    assert in_the_site("x.png", "experiments/results/gallery.md") == "x.png"
    assert in_the_site("https://x.org/experiments/", "results.md") == "https://x.org/experiments/"


@pytest.mark.slow
def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs_gen_files")
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "experiments" / "results" / "gallery.png").exists()
    front = (tmp_path / "index.html").read_text()
    assert (tmp_path / re.search(r'src="([^"]+table\.png)"', front)[1]).exists()
    fetched = re.compile(r'<(?:script|link|img|iframe)\b[^>]*(?:src|href)="(?:https?:)?//')
    assert [page for page in tmp_path.rglob("*.html") if fetched.search(page.read_text())] == []
    (tmp_path / "404.html").unlink()  # its links are those of a server
    link = re.compile(r'<a [^>]*href="(?!https?:|#)([^"#?]+)')
    linked = {(page, target) for page in tmp_path.rglob("*.html") for target in link.findall(page.read_text())}
    assert len(linked) > 1000
    # Files: the index.html of a folder is found by a server alone.
    assert [(page.name, target) for page, target in linked if not (page.parent / target).is_file()] == []
    configuration = {page.stem for page in (tmp_path / "reference" / "configuration").iterdir()}
    chosen = {name.replace("/", "_") for name in group_names() if not {"hydra", "base"} & set(name.split("/"))}
    assert chosen <= configuration
    models = (tmp_path / "reference" / "configuration" / "model.html").read_text()
    assert "num_steps: 32" in re.sub(r"<[^>]+>", "", models)  # without the tags that colour it
    api = (tmp_path / "reference" / "api" / "genmodels.bijections.html").read_text()
    assert "Change one half of the channels given the other" in api
