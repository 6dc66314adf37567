"""The table of Hoffman & Johnson 2016: what the average KL of VAEs with 2, 10 and 20 latents is made of.

    python experiments/elbo_surgery.py trainer.max_steps=12000                 # trains the three, any key can be set
    python experiments/elbo_surgery.py --runs <run> <run> <run>                # takes finished runs, of any data set
    python experiments/elbo_surgery.py --out experiments/results/elbo_surgery  # .md and .json; else it is only printed

Trained runs lie in outputs/elbo_surgery/<latents>. The figures are those of `evaluate.py metrics=[elbo_surgery]` and
are kept in each run's metrics.json too.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

import genmodels
from genmodels.cli import told_in_a_sentence
from genmodels.config.compose import CONFIG_DIR
from genmodels.evaluation.scoring import keep, score
from genmodels.evaluation.setting import Setting
from genmodels.files import write_text
from genmodels.runs.finished_run import Run, load_run

COLUMNS = ("ELBO", "average KL", "mutual information", "marginal KL", "log N")
RECIPES = {latents: f"elbo_surgery_{latents}" for latents in (2, 10, 20)}
SOURCE = (
    "published: Hoffman & Johnson 2016, read in a transcription, not in the paper itself; MNIST, networks, optimiser, "
    "binarisation and whether 60,000 images entered every cell unknown, so a difference may be one of any of these"
)


def _published(recipe: str) -> tuple[str, ...]:
    figure = yaml.safe_load((CONFIG_DIR / "experiment" / f"{recipe}.yaml").read_text())["published"]
    return tuple(f"{value:.2f}" for value in (figure["value"], *(figure["parts"][part] for part in COLUMNS[1:])))


PUBLISHED = {latents: _published(recipe) for latents, recipe in RECIPES.items()}  # log N is that of 60,000 images


def trained(overrides: Sequence[str]) -> list[Run]:
    """The three recipes with the same changes."""
    return [
        genmodels.train([f"experiment={recipe}", *overrides], Path("outputs/elbo_surgery") / str(latents))
        for latents, recipe in RECIPES.items()
    ]


def row(run: Run, data_dir: str | None = None) -> dict[str, Any]:
    """Measure a run: its figure, and what it took to train."""
    setting = Setting(run, batch_size=1000, data_dir=data_dir)
    figures = score(setting, "train", ["elbo_surgery"])
    keep(setting, figures)
    (figure,) = figures.values()
    record = run.folder.read_record()
    return {
        "latents": run.config["model"]["posterior"]["num_latents"],
        "data": run.config["data"]["name"],
        "steps": record["steps"],
        "epochs": record["epochs"],
        "batch_size": run.config["data"]["batch_size"],
        "wall_minutes": round(record["wall_time_seconds"] / 60, 1),
        "threads": record["hardware"]["threads"],
        "gpus": record["hardware"]["gpus"],
        "weights": f"{run.weights} weights of step {run.step}",
        "parameters": record["parameters"],
        "figure": asdict(figure),
    }


def in_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Each measured row above the published one of as many latents, where there is one; below, what it took."""
    lines = [
        "Nats per training image; measured: mean over draws ± its standard error, which says nothing of other runs.",
        "",
        f"| latents | | {' | '.join(COLUMNS)} |",
        "|---|---|" + "---|" * len(COLUMNS),
    ]
    notes = []
    for entry in rows:
        figure, latents = entry["figure"], entry["latents"]
        cells = {"ELBO": (figure["mean"], figure["standard_error"]), **figure["parts"]}
        lines.append(f"| {latents} | measured | {' | '.join(_cell(*cells[column]) for column in COLUMNS)} |")
        if latents in PUBLISHED:
            lines.append(f"| | published | {' | '.join(PUBLISHED[latents])} |")
        where = (
            entry["gpus"][0]
            if entry["gpus"]
            else "one CPU thread"
            if entry["threads"] == 1
            else f"{entry['threads']} CPU threads"
        )
        over = f"{figure['protocol']['aggregate_over']:,} training images"
        notes.append(
            f"- {latents} latents: {entry['data']}, q(z) over all {over}, {figure['num_examples']:,} draws; "
            f"{entry['parameters']:,} parameters, {entry['steps']:,} steps of {entry['batch_size']} images "
            f"({entry['epochs']} epochs), {entry['wall_minutes']} minutes by the clock on {where}; {entry['weights']}, "
            "chosen by validation."
        )
    return "\n".join([*lines, "", *notes, f"- {SOURCE}.", ""])


def _cell(mean: float, error: float | None) -> str:
    return f"{mean:.2f}" if error is None else f"{mean:.2f} ± {error:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="changes to the recipes, as for train.py")
    parser.add_argument("--runs", nargs="+", help="finished runs to take instead of training")
    parser.add_argument("--data-dir", help="where the data lies, if no longer where the runs found it")
    parser.add_argument("--out", type=Path, help="path of the table, without suffix")
    asked = parser.parse_args()
    if asked.runs and asked.overrides:
        parser.error("overrides are for training: leave them out, or leave out --runs")
    runs = [load_run(folder) for folder in asked.runs] if asked.runs else trained(asked.overrides)
    rows = [row(run, asked.data_dir) for run in runs]
    table = in_markdown(rows)
    print(table)
    if asked.out is not None:
        write_text(asked.out.with_suffix(".md"), "# ELBO surgery (Hoffman & Johnson 2016)\n\n" + table)
        write_text(asked.out.with_suffix(".json"), json.dumps({"rows": rows, "published": PUBLISHED}, indent=2) + "\n")


if __name__ == "__main__":
    with told_in_a_sentence(sys.argv[1:]):
        main()
