"""mkdocs hook: equations become MathML, which a browser draws by itself, without a script and without a network.

An equation that is no LaTeX is told in a warning with its page, and `mkdocs build --strict` fails.
"""

import html as entities
import logging
import re
from typing import Any

from math_core import LatexError, LatexToMathML

log = logging.getLogger("mkdocs.hooks.equations")  # what mkdocs counts as its own warnings

# As pymdownx.arithmatex leaves them, with the punctuation behind, which is to stay in their line.
MARKED = re.compile(r'(<(span|div) class="arithmatex">)\\[(\[](.*?)\\[)\]](</\2>)([.,;:)]*)', re.DOTALL)
CONVERTER = LatexToMathML(fancy_error=False)


def on_page_content(html: str, page: Any, **_: Any) -> str:
    return with_equations(html, page.file.src_uri)


def with_equations(html: str, page: str) -> str:
    """A page's HTML with its marked equations as MathML; one that cannot be converted stays LaTeX, with a warning."""

    def converted(found: re.Match[str]) -> str:
        latex = entities.unescape(found[3]).strip()
        try:
            mathml = CONVERTER.convert_with_local_state(latex, displaystyle=found[2] == "div")
        except LatexError as error:
            log.warning(f"{page}: the equation {latex} cannot be drawn: {error}")
            return found[0]
        return found[1] + mathml + found[5] + found[4]

    return MARKED.sub(converted, html)
