"""A model card (Mitchell et al. 2019): what a model is, how it was made, what was measured of it, what it is for."""

from collections.abc import Mapping
from typing import Any

from genmodels.errors import printable
from genmodels.runs.finished_run import Run
from genmodels.runs.provenance import provenance_in_words
from genmodels.runs.tables import in_short

_FOR_STUDY = "Research and teaching: likelihoods, samples and representations of a generative model of this data set."


def model_card(
    run: Run,
    record: Mapping[str, Any],
    figures: Mapping[str, Mapping[str, Any]],
    license: str | None,
    intended_use: str | None,
) -> str:
    """Markdown, with the header that model hubs read.

    Args:
        record: entries of run.json that may be published.
        figures: entries of metrics.json, of these weights.
        license: of the weights, or None where nobody has said.
        intended_use: a sentence; None for study.
    """
    parts = [
        *("---", *([f"license: {license}"] if license else []), "library_name: genmodels", "---", ""),
        *(f"# {type(run.model).__name__} on {run.config['data']['name']}", "", _model(run), ""),
        *("    import genmodels", '    model = genmodels.load("<this folder>")', "    model.sample(16)", ""),
        *("## Figures", "", *_figures(figures), ""),
        *("## Training", "", *(f"- {line}" for line in _training(run, record)), ""),
        *("## Data", "", _data(run.config["data"]), ""),
        *("## Intended use", "", intended_use or _FOR_STUDY, ""),
        *("## Licence", "", f"Of the weights: {license or 'not stated'}. The data set has terms of its own.", ""),
    ]
    return printable("\n".join(parts))


def _model(run: Run) -> str:
    size = sum(p.numel() for p in run.model.parameters())
    return f"{size:,} parameters: the {run.weights} weights after {run.step:,} steps of training."


def _figures(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not figures:
        return ["None has been measured of these weights."]
    rows = []
    for name, entry in figures.items():
        kind = entry.get("kind", entry.get("exact_or_bound", ""))
        number = entry.get("num_examples", entry.get("num_images", ""))
        protocol = ", ".join(f"{key}={value}" for key, value in (entry.get("protocol") or {}).items())
        cells = (name, f"{in_short(entry)} {entry.get('unit', '')}".strip(), kind, number, protocol)
        rows.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    return ["| figure | mean ± standard error | kind | number | protocol |", "|---|---|---|---|---|", *rows]


def _training(run: Run, record: Mapping[str, Any]) -> list[str]:
    command, *others = provenance_in_words(record)
    objective = run.config["objective"]["_target_"].rpartition(".")[2]
    return [command, f"objective: {objective}, seed {record.get('seed')}", *others]


def _data(data: Mapping[str, Any]) -> str:
    shape = "x".join(map(str, data["shape"]))
    levels = "" if data.get("levels") is None else f", {data['levels']} levels"
    return f"{data['name']}, {shape}{levels}, as `data={data['name']}` of genmodels reads it."
