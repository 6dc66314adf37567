"""mkdocs hook: what pages link to outside docs/ comes into the site, and links keep the form that GitHub shows.

A page of docs/ names a picture as `../experiments/results/x.png`. The site has docs/ as its root, so the pictures and
tables of experiments/ are added to it as experiments/..., and one `../` falls away from every link to them.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PATTERNS = (
    "experiments/results/*.png",
    "experiments/results/*/*/table.png",
    "experiments/results/*/*/table.md",
    "experiments/results/*.md",
    "experiments/benchmarks/*.md",
)
LINK = re.compile(r"(\]\()([^)\s]+)(\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for pattern in PATTERNS:
        for path in sorted(ROOT.glob(pattern)):
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    return LINK.sub(lambda link: link[1] + in_the_site(link[2], page.file.src_uri) + link[3], markdown)


def in_the_site(target: str, page: str) -> str:
    """A link's target as the site needs it on that page of docs/; what does not leave docs/ stays as it is."""
    if "://" in target or page.startswith("experiments/"):
        return target
    folder = posixpath.dirname(page)
    whole = posixpath.normpath(posixpath.join("docs", folder, target))
    if not whole.startswith("experiments/"):
        return target
    return posixpath.relpath(whole, folder or ".")
