"""Modes counted: GAN (twice), WGAN, WGAN-GP and SN-GAN on a ring of 8 and a grid of 25 Gaussians, five seeds each.

    python experiments/gan_stability.py model.width=256                          # trains all, any key can be set
    python experiments/gan_stability.py --trained                                # measures what lies there from before
    python experiments/gan_stability.py --out experiments/results/gan_stability  # .md, .json and a .png of each data

Runs lie in outputs/gan_stability/<data>_<recipe>_<seed>. The figures are those of `evaluate.py metrics=[modes]`. The
methods share data, networks and the number of batches that the critic sees: a generator of WGAN and WGAN-GP takes a
fifth of the steps of the others.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

import genmodels
from genmodels.cli import told_in_a_sentence
from genmodels.distributions.modes import MIXTURES
from genmodels.evaluation.metrics.modes import assigned
from genmodels.evaluation.scoring import keep, score
from genmodels.evaluation.setting import Setting
from genmodels.files import write_text
from genmodels.models.capabilities import required
from genmodels.models.contract import Sampler
from genmodels.pictures import save_figure
from genmodels.runs.finished_run import Run, load_run

Row = dict[str, Any]
METHODS = {  # by recipe
    "gan_stability": "GAN",
    "gan_stability_momentum": "GAN, beta1 = 0.9",
    "gan_stability_wgan": "WGAN",
    "gan_stability_wgan_gp": "WGAN-GP",
    "gan_stability_sn": "SN-GAN",
}
SPEED = (
    "trainer=cpu",
    "logger=none",
    *(f"callbacks.{name}=null" for name in ("samples", "curves", "step_metrics", "nan_guard")),
)
SHOWN = 1000  # samples in a panel


def folder_of(runs: Path, data: str, recipe: str, seed: int) -> Path:
    return runs / f"{data}_{recipe}_{seed}"


def train(runs: Path, data: str, recipe: str, seed: int, overrides: Sequence[str]) -> None:
    """One run, whose record keeps the CPU time that it took from the first line to the last figure."""
    begin = time.process_time()
    what = [f"experiment={recipe}", f"data.name={data}", f"seed={seed}", *SPEED, *overrides]
    run = genmodels.train(what, folder_of(runs, data, recipe, seed))
    run.folder.update_record(cpu_seconds=round(time.process_time() - begin, 1))


def row(run: Run) -> Row:
    """Measure a run."""
    setting = Setting(run)
    figures = score(setting, "test", ["modes"])
    keep(setting, figures)
    (figure,) = figures.values()
    record = run.folder.read_record()
    return {
        "modes": figure.mean,
        "good": figure.parts["share of good samples"][0],
        "kl": figure.parts["KL of the modes' shares"][0],
        "samples": figure.num_examples,
        "steps": record["steps"],
        "critic_steps": run.config["objective"]["critic_steps"],
        "batch_size": run.config["data"]["batch_size"],
        "cpu_seconds": record["cpu_seconds"],
    }


def samples_of(run: Run) -> Tensor:
    """What a panel shows, [1000, 2]."""
    setting = Setting(run)
    with torch.no_grad(), setting.noise("sample"):
        return required(setting.model, Sampler, "the picture").sample(SHOWN)


def in_markdown(rows: Sequence[Row]) -> str:
    """A line for each data set and method: mean ± standard deviation over seeds."""
    first = rows[0]
    lines = [
        f"Mean ± standard deviation over {_seeds(rows)} seeds, {first['samples']:,} samples of each run. A sample is "
        "good within three deviations of a mode, as 98.9 % of the data are; a mode is covered by one good sample or "
        "more; KL, in nats, is of the shares of samples by nearest mode.",
        "",
        "| data | method | modes covered | good samples | KL | steps, generator | steps, critic | CPU minutes a run |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for data, method, own in _groups(rows):
        modes, good, kl = (
            _spread([r[key] for r in own], places) for key, places in (("modes", 1), ("good", 2), ("kl", 2))
        )
        steps, minutes = own[0]["steps"], mean(r["cpu_seconds"] for r in own) / 60
        of = len(MIXTURES[data].centres)
        critic = steps * own[0]["critic_steps"]
        lines.append(
            f"| {data} | {method} | {modes} of {of} | {good} | {kl} | {steps:,} | {critic:,} | {minutes:.2f} |"
        )
    total = sum(r["cpu_seconds"] for r in rows) / 60
    return "\n".join([*lines, "", f"{len(rows)} runs, {total:.1f} CPU minutes, batches of {first['batch_size']}.", ""])


def _groups(rows: Sequence[Row]) -> Iterator[tuple[str, str, list[Row]]]:
    for data, method in dict.fromkeys((r["data"], r["method"]) for r in rows):
        yield data, method, [r for r in rows if (r["data"], r["method"]) == (data, method)]


def _seeds(rows: Sequence[Row]) -> int:
    return len({r["seed"] for r in rows})


def _spread(values: Sequence[float], places: int) -> str:
    deviation = f" ± {stdev(values):.{places}f}" if len(values) > 1 else ""
    return f"{mean(values):.{places}f}{deviation}"


def draw(data: str, points: Tensor, samples: dict[str, list[Tensor]], path: Path) -> None:
    """A row of panels for each method: the data's points, then samples of each seed.

    Args:
        points: of the data, [N, 2].
        samples: by method, [N, 2] of each seed.
    """
    columns = 1 + max(map(len, samples.values()))
    figure = Figure(figsize=(1.9 * columns, 2.05 * len(samples)), layout="constrained")
    panels = figure.subplots(len(samples), columns, squeeze=False)
    for (method, drawn), axes in zip(samples.items(), panels, strict=True):
        axes[0].set_ylabel(method)
        for panel, part, title in zip(
            axes, [points, *drawn], ["data", *map("seed {}".format, range(columns))], strict=False
        ):
            _panel(panel, part, data, title)
    save_figure(figure, path)


def _panel(axes: Axes, points: Tensor, data: str, title: str) -> None:
    """Good samples in blue, others in red, and how many modes the former cover, fewer than more samples would."""
    modes = MIXTURES[data]
    nearest, good = assigned(points, modes)
    side = float(modes.centres.max()) * 1.25
    for chosen, colour in ((~good, "tab:red"), (good, "tab:blue")):
        axes.scatter(*points[chosen].T.numpy(), s=3, linewidths=0, color=colour)
    axes.set(xlim=(-side, side), ylim=(-side, side), xticks=[], yticks=[], aspect="equal")
    axes.set_title(f"{title}: {len(nearest[good].unique())} of {len(modes.centres)}", fontsize="small")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="changes to the recipes, as for train.py")
    parser.add_argument("--data", nargs="+", choices=list(MIXTURES), default=list(MIXTURES))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--runs", type=Path, default=Path("outputs/gan_stability"), help="where the runs lie")
    parser.add_argument("--trained", action="store_true", help="take the runs that lie there instead of training")
    parser.add_argument("--out", type=Path, help="path of table and pictures, without suffix")
    asked = parser.parse_args()
    if asked.trained and asked.overrides:
        parser.error("overrides are for training: leave them out, or leave out --trained")
    rows = []
    for data in asked.data:
        samples: dict[str, list[Tensor]] = {method: [] for method in METHODS.values()}
        for recipe, method in METHODS.items():
            for seed in asked.seeds:
                if not asked.trained:
                    train(asked.runs, data, recipe, seed, asked.overrides)
                run = load_run(folder_of(asked.runs, data, recipe, seed))
                rows.append({"data": data, "method": method, "seed": seed, **row(run)})
                samples[method].append(samples_of(run))
        if asked.out is not None:
            x, _ = next(iter(Setting(run).batches("test", SHOWN)))
            draw(data, x, samples, asked.out.with_name(f"{asked.out.name}_{data}.png"))
    table = in_markdown(rows)
    print(table)
    if asked.out is not None:
        write_text(asked.out.with_suffix(".md"), "# Modes covered by GANs\n\n" + table)
        write_text(asked.out.with_suffix(".json"), json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    with told_in_a_sentence(sys.argv[1:]):
        main()
