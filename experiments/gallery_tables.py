"""The tables of the gallery: test likelihoods, and what each run took."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

import torch

from genmodels.data.sources.toy2d_densities import log_density
from genmodels.evaluation.metrics.figure import mean_with_error
from genmodels.evaluation.setting import Setting
from genmodels.runs.finished_run import Run

Row = dict[str, Any]


def row(model: str, run: Run) -> Row:
    """What is reported of a finished run. `cpu_seconds` is None where a part of it was killed, and so not timed."""
    record, figures = run.folder.read_record(), run.folder.read_metrics()
    (figure,) = (entry for name, entry in figures.items() if name.startswith("test/nll"))
    parts = record["cpu_seconds"]
    return {
        "model": model,
        "data": run.config["data"]["name"],
        "nats": figure["mean"],
        "standard_error": figure["standard_error"],
        "kind": figure["kind"],
        "importance_samples": figure["protocol"]["importance_samples"],
        "points": figure["num_examples"],
        "steps": record["steps"],
        "weights_of_step": run.step,
        "batch_size": run.config["data"]["batch_size"],
        "seed": run.config["seed"],
        "parameters": record["parameters"],
        "cpu_seconds": round(sum(parts), 1) if len(parts) == 1 + len(record.get("earlier") or []) else None,
    }


def own_row(run: Run) -> Row:
    """The likelihood that the data's own density gives to the test points of a run."""
    name = run.config["data"]["name"]
    scores = torch.cat([-log_density(name, x) for x, _ in Setting(run, device="cpu").batches("test", 1000)])
    nats, error = mean_with_error(scores)
    return {"model": "the data's own", "data": name, "nats": nats, "standard_error": error, "kind": "exact"}


def in_markdown(rows: Sequence[Row], own: Sequence[Row], budget: str, failed: Mapping[tuple[str, str], str]) -> str:
    """Test nats by model and set, then what the models are and what they took.

    Args:
        rows: of the models' runs.
        own: of the data themselves, one for each set.
        budget: "laptop", or what else was done.
        failed: reasons by model and set.
    """
    title = "# Densities in the plane"
    if budget != "laptop":
        title += f" (budget: {budget}; not what the models can do)"
    if not rows:
        return "\n".join([title, "", "Nothing is finished.", *_failures(failed), ""])
    sets, models = ([*dict.fromkeys(r[key] for r in rows)] for key in ("data", "model"))
    cells = {(r["model"], r["data"]): r for r in (*own, *rows)}
    lines = [
        title,
        "",
        f"Nats a test point, ± one standard error over {rows[0]['points']:,} points, lower is better; one run each, of "
        f"seed {', '.join(sorted({str(r['seed']) for r in rows}))}. Errors are mostly common to a column, whose points "
        "are the same, and say nothing of other seeds. ≤: a bound, by importance weights.",
        "",
        f"| model | {' | '.join(sets)} |",
        "|---|" + "---|" * len(sets),
    ]
    for title in dict.fromkeys(model for model, _ in cells):
        lines.append(f"| {title} | {' | '.join(_cell(cells.get((title, name))) for name in sets)} |")
    lines += ["", "| model | parameters | steps | batch | CPU seconds a run |", "|---|---|---|---|---|"]
    for model in models:
        runs = [r for r in rows if r["model"] == model]
        sizes = (_span([r[key] for r in runs]) for key in ("parameters", "steps", "batch_size"))
        timed = [r["cpu_seconds"] for r in runs if r["cpu_seconds"] is not None]
        lines.append(f"| {model} | {' | '.join(sizes)} | {f'{mean(timed):.0f}' if timed else '?'} |")
    total = sum(r["cpu_seconds"] or 0.0 for r in rows) / 60
    took = f"{len(rows)} runs, {total:.1f} CPU minutes, test scores included."
    return "\n".join([*lines, "", took, *_failures(failed), ""])


def _cell(found: Row | None) -> str:
    if found is None:
        return ""
    bound = "≤ " if found["kind"] == "bound" else ""
    return f"{bound}{found['nats']:.3f} ± {found['standard_error']:.3f}"


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _failures(failed: Mapping[tuple[str, str], str]) -> list[str]:
    lines = [f"- {model} on {data} failed: {reason}" for (model, data), reason in failed.items()]
    return ["", *lines] if lines else []
