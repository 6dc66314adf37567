"""Equations of docs/ as the site draws them: each is LaTeX that becomes MathML, and a wrong one is named."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from command_line import ROOT
from documented import pages

DOLLARS = re.compile(r"\$[^$]+\$")


@pytest.fixture(scope="module")
def equations() -> ModuleType:
    """The site's hook."""
    for needed in ("math_core", "pymdownx"):
        pytest.importorskip(needed)
    sys.path.insert(0, str(ROOT / "docs_tools"))
    try:
        import equations
    finally:
        sys.path.pop(0)
    return equations


def html_of(text: str) -> str:
    import markdown

    extensions = ["tables", "pymdownx.superfences", "pymdownx.arithmatex"]
    return markdown.markdown(text, extensions=extensions, extension_configs={"pymdownx.arithmatex": {"generic": True}})


@pytest.mark.parametrize(
    "page", [page for page in pages() if DOLLARS.search(page.read_text())], ids=lambda page: page.stem
)
def test_every_equation_of_a_page_is_drawn(page: Path, equations: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    html = equations.with_equations(html_of(page.read_text()), page.name)
    assert caplog.messages == []
    assert html.count("<math") == html.count('class="arithmatex"')
    prose = re.sub(r"<(code|pre)\b.*?</\1>", "", html, flags=re.DOTALL)
    assert "$" not in prose, "an equation that Markdown did not see"


@pytest.mark.parametrize("wrong", [r"\frax{a}{b}", r"\frac{a}", r"\left( a", "a_b_c", "{a", r"\begin{foo}a\end{foo}"])
def test_a_wrong_equation_is_named_with_its_page(
    wrong: str, equations: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    equations.with_equations(html_of(f"Right is $a < b$, wrong is ${wrong}$."), "book/page.md")
    (message,) = caplog.messages
    assert message.startswith(f"book/page.md: the equation {wrong} cannot be drawn: ")


def test_what_is_drawn(equations: ModuleType) -> None:
    html = equations.with_equations(html_of("Where $a < b$, and\n\n$$\\sum_{k=1}^{K} k$$\n"), "page.md")
    assert "<mi>a</mi><mo>&lt;</mo><mi>b</mi></math>,</span>" in html
    assert '<math display="block"><munderover>' in html


def test_the_site_is_not_built_with_a_wrong_equation(tmp_path: Path) -> None:
    for needed in ("mkdocs", "math_core", "pymdownx"):
        pytest.importorskip(needed)
    (tmp_path / "docs").mkdir()
    (tmp_path / "mkdocs.yml").write_text(
        f"site_name: one page\nhooks: [{ROOT / 'docs_tools' / 'equations.py'}]\nplugins: []\n"
        "markdown_extensions: [{pymdownx.arithmatex: {generic: true}}]\n"
    )
    for equation, code in ((r"\frac{a}{b}", 0), (r"\frax{a}{b}", 1)):
        (tmp_path / "docs" / "index.md").write_text(f"An equation: ${equation}$\n")
        line = [sys.executable, "-m", "mkdocs", "build", "--strict"]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
    assert r"index.md: the equation \frax{a}{b} cannot be drawn" in done.stderr
