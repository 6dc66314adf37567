"""Write the report: one HTML file that asks for nothing from outside itself."""

import base64
import datetime
import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genmodels.errors import UserError
from genmodels.files import write_text
from genmodels.reports.collect import RunSummary
from genmodels.reports.curves import POINTS, curves_by_name, examples_per_step
from genmodels.reports.rows import best_first, columns_of, figure_names, link, rows_of
from genmodels.runs.compare import differing

_ROOM = 20_000_000  # bytes of pictures in a page
_SHOWN_FIRST = 6  # runs whose curves and samples are shown as the page opens


def write_report(runs: Sequence[RunSummary], out: Path, failures: Mapping[Path, str]) -> None:
    """Write the page.

    Args:
        runs: at least one.
        out: the HTML file.
        failures: folders that could not be read, with the reason.

    Raises:
        UserError: the libraries of the extra `report` are missing, or the disk is full.
    """
    runs = best_first(runs)
    rows, names = rows_of(runs, out), figure_names(runs)
    data = {
        "names": [row.name for row in rows],
        "curves": curves_by_name([run.series for run in runs]),
        "examples": [examples_per_step(run.config) for run in runs],
        "samples": _samples(runs, out),
        "differences": differing([run.config for run in runs]),
    }
    content = {
        "rows": rows,
        "columns": columns_of(runs),
        "sorted_by": names[0] if names else None,
        "data": data,
        "shown_first": _SHOWN_FIRST,
        "points": POINTS,
        "written": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "version": importlib.metadata.version("genmodels"),
        "failures": {str(path): reason for path, reason in failures.items()},
    }
    write_text(out, _html(content))


def _samples(runs: Sequence[RunSummary], out: Path) -> list[dict[str, Any] | None]:
    """Of each run, with its content as long as there is room, and a link to the file in any case."""
    room = _ROOM
    found: list[dict[str, Any] | None] = []
    for run in runs:
        sample = run.sample
        if sample is None:
            found.append(None)
            continue
        fits = sample.size <= room
        room -= sample.size if fits else 0
        found.append(
            {
                "file": sample.path.name,
                "link": link(sample.path, out),
                "width": sample.width,
                "height": sample.height,
                "uri": sample.as_uri() if fits else None,
            }
        )
    return found


def _html(content: Mapping[str, Any]) -> str:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise UserError("a report needs Jinja2 and Plotly: run pip install 'genmodels[report]'") from error
    folder = Path(__file__).parent / "page"
    scripts = [get_plotlyjs(), (folder / "report.js").read_text(encoding="utf-8")]
    environment = Environment(
        loader=PackageLoader("genmodels.reports", "page"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}  # keys stay in their order
    return environment.get_template("report.html").render(
        **content,
        scripts=[Markup(script) for script in scripts],
        allowed=Markup(" ".join(f"'sha256-{_sha256(script)}'" for script in scripts)),
        style=Markup((folder / "report.css").read_text(encoding="utf-8")),
    )


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
