"""A collected table in Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MARKS = {"confirmed": "", "second_hand": "†", "recalled": "‡"}
_LEGEND = {
    "second_hand": "†: read in somebody's transcription, not in the paper",
    "recalled": "‡: recalled, unconfirmed",
}
_SHORT = {"absent": "", "finished": "-"}  # a finished run that has no such figure


def in_markdown(found: Mapping[str, Any]) -> str:
    """Published and measured figures side by side, then what every run took.

    Args:
        found: of `collect`.
    """
    lines = [f"# {found['title']}", "", *_table(found), *_left_out(found), *_legend(found)]
    for told in (found["note"], found["comment"]):
        lines += ["", told] if told else []
    shortened = " Recipes are shortened by the rule below." if found["rule"] else ""
    lines += [
        "",
        f"Budget {found['budget_in_words']}{shortened}",
        *_runs(found),
        *_reasons(found),
        *_sources(found),
        *(["", "## How recipes are shortened", "", found["rule"]] if found["rule"] else []),
    ]
    return "\n".join(lines) + "\n"


def _table(found: Mapping[str, Any]) -> Iterator[str]:
    shown = list(columns_of(found))
    has_groups = any(found["groups"].values())
    heads = (["family"] if has_groups else []) + ["model"]
    for column in shown:
        heads += [f"{column['head']}{' ' if column['head'] else ''}{kind}" for kind in column["kinds"]]
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    cells = {(cell["row"], cell["column"]): cell for cell in found["cells"]}
    before = None
    for row, title in found["rows"].items():
        group = found["groups"][row]
        texts = ([group if group != before else ""] if has_groups else []) + [title]
        before = group
        for column in shown:
            cell = cells[row, column["column"]]
            written = {
                "published": published_text(cell, column["figure"]),
                "published protocol": (cell["published"] or {}).get("protocol") or "",
                "measured": measured_text(cell, column["figure"]),
                "measured protocol": _protocol(cell, column["figure"]),
            }
            texts += [written[kind] for kind in column["kinds"]]
        yield f"| {' | '.join(texts)} |"


def columns_of(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The figures of each column of runs; published ones where there are any.

    Once something has been measured, without those of which nothing is.
    """
    is_new = not any(cell["runs"] for cell in found["cells"])
    for column, title in found["columns"].items():
        cells = [cell for cell in found["cells"] if cell["column"] == column]
        for figure in found["figures"]:
            several = len(found["figures"]) > 1 or not column
            head = " ".join([*([title] if column else []), *([figure["title"]] if several else [])])
            kinds = ["published"] if any(published_value(cell, figure) is not None for cell in cells) else []
            if not (is_new or kinds or any(figure["title"] in cell["figures"] for cell in cells)):
                continue
            kinds += ["published protocol"] if found["protocol"] and kinds else []
            kinds += ["measured", *(["measured protocol"] if found["protocol"] else [])]
            yield {"column": column, "figure": figure, "head": head, "kinds": kinds}


def published_value(cell: Mapping[str, Any], figure: Mapping[str, Any]) -> float | None:
    """The cell's published figure, if it is of this kind."""
    found = cell["published"]
    if not found or found["metric"] != figure["figure"]:
        return None
    part = figure["part"]
    value = found["value"] if part is None else (found.get("parts") or {}).get(part)
    return None if value is None else float(value)


def published_text(cell: Mapping[str, Any], figure: Mapping[str, Any]) -> str:
    """With the mark of its status."""
    value = published_value(cell, figure)
    if value is None:
        return ""
    shown = f"{value:g}"
    if figure["figure"] == "bits_per_dim" and len(shown.partition(".")[2]) < 2:
        shown = f"{value:.2f}"  # as papers print them: 3.00
    return f"{shown}{MARKS[cell['published']['status']]}"


def measured_text(cell: Mapping[str, Any], figure: Mapping[str, Any]) -> str:
    """With its error and, always, its budget; or what became of the run."""
    measured = cell["figures"].get(figure["title"])
    if measured is None:
        return _SHORT.get(cell["status"], cell["status"])
    bound = {"lower": "≤ ", "higher": "≥ "}[measured["direction"]] if measured["kind"] == "bound" else ""
    error = measured["standard_error"]
    digits = 2 if abs(measured["value"]) >= 100 or (error or 0) >= 0.1 else 3
    shown = f"{bound}{measured['value']:.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")
    seeds = "" if measured["over"] == "examples" else f", {measured['over']}"
    return f"{shown}{other_name(measured, figure)} ({cell['budget']}{seeds})"


def other_name(measured: Mapping[str, Any], figure: Mapping[str, Any]) -> str:
    """What was measured, if that is of the published figure's kind and yet does not compare: " fid_small" for "fid"."""
    name = measured["name"]
    return "" if name == figure["figure"] or figure["figure"] == "nll" else f" {name}"


def _left_out(found: Mapping[str, Any]) -> list[str]:
    there = {column["column"] for column in columns_of(found)}
    names = [title for column, title in found["columns"].items() if column not in there]
    return ["", f"Not run: {', '.join(names)}."] if names else []


def _protocol(cell: Mapping[str, Any], figure: Mapping[str, Any]) -> str:
    entries = [entry for run in cell["runs"] if (entry := run["figures"].get(figure["title"]))]
    if not entries:
        return ""
    protocol = entries[0]["protocol"]
    keys = {"num_samples": "samples", "num_real": "real", "importance_samples": "K", "features": "features"}
    told = [f"{name} {protocol[key]}" for key, name in keys.items() if protocol.get(key) is not None]
    return ", ".join([*told, f"{entries[0]['split']} split"])


def _legend(found: Mapping[str, Any]) -> list[str]:
    statuses = {cell["published"]["status"] for cell in found["cells"] if cell["published"]}
    told = [text for status, text in _LEGEND.items() if status in statuses]
    figures = [figure for cell in found["cells"] for figure in cell["figures"].values()]
    for kind, text in (("lower", "≤: a bound from above"), ("higher", "≥: a bound from below")):
        if any(figure["kind"] == "bound" and figure["direction"] == kind for figure in figures):
            told.append(text)
    if figures:
        seeds = any(figure["over"] != "examples" for figure in figures)
        told.append(f"±: one standard error over {'seeds' if seeds else 'examples, of one run each'}")
    return ["", ". ".join(told) + "."] if told else []


def _runs(found: Mapping[str, Any]) -> list[str]:
    runs = [(cell, run) for cell in found["cells"] for run in cell["runs"]]
    if not runs:
        return ["", "No run is finished."]
    heads = ["row", "column", "run of", "parameters", "steps", "examples seen", "minutes"]
    heads += ["figure", "K", "weights", "of", "commit"]
    lines = ["", "## Runs", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    total = {"cpu_hours": 0.0, "gpu_hours": 0.0}
    for cell, run in runs:
        clock = "gpu_hours" if "gpu_hours" in run else "cpu_hours"
        total[clock] += run[clock] * 60
        first: Mapping[str, Any] = next(iter(run["figures"].values()), {})
        commit = f"{(run['git']['commit'] or '?')[:8]}{' + changes' if run['git']['dirty'] else ''}"
        seed = f", seed {run['seed']}" if run["seed"] else ""
        texts = [
            found["rows"][cell["row"]],
            found["columns"][cell["column"]],
            run["model"] + seed,
            f"{run['parameters']:,}",
            f"{run['steps']:,}",
            f"{run['images_seen']:,}",
            f"{run[clock] * 60:.1f} {clock[:3].upper()}",
            str(first.get("name") or ""),
            str(first.get("importance_samples") or ""),
            f"{first['weights']}, step {first['weights_of_step']:,}" if first else "",
            f"{first['num_examples']:,}" if first else "",
            commit,
        ]
        lines.append(f"| {' | '.join(texts)} |")
    sums = " and ".join(f"{minutes:.1f} {clock[:3].upper()} minutes" for clock, minutes in total.items() if minutes)
    return [*lines, "", f"{len(runs)} runs, {sums}. CPU time has start, timing, validation and test in it."]


def _reasons(found: Mapping[str, Any]) -> list[str]:
    rows, columns = found["rows"], found["columns"]
    told: dict[str, list[str]] = {}
    for cell in found["cells"]:
        if cell["reason"]:
            where = rows[cell["row"]] + (f" ({columns[cell['column']]})" if cell["column"] else "")
            told.setdefault(f"{cell['status']}: {cell['reason']}", []).append(where)
    lines = [f"- {', '.join(dict.fromkeys(cells))}: {reason}" for reason, cells in told.items()]
    return ["", "## Without a figure", "", *lines] if lines else []


def _sources(found: Mapping[str, Any]) -> list[str]:
    sources: dict[str, list[str]] = {}
    for cell in found["cells"]:
        p = cell["published"]
        if p:
            protocol = f"; {p['protocol']}" if p.get("protocol") else ""
            own = "" if any(p["metric"] == f["figure"] for f in found["figures"]) else f"; {p['value']:g} {p['metric']}"
            sources.setdefault(f"{p['source']} ({p['status'].replace('_', ' ')}{protocol}{own})", []).append(
                cell["row"]
            )
    lines = [f"- {_listed([found['rows'][row] for row in rows])}: {source}" for source, rows in sources.items()]
    return ["", "## Published figures", "", *lines] if lines else []


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
