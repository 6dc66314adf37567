"""Compare two short trainings honestly: the same batches, several seeds, the last validations and their spread.

    python experiments/benchmarks/short_runs.py a="model=glow_small" b="model=realnvp_small" [--seeds 3] [--steps 300]
    python experiments/benchmarks/short_runs.py a="@HEAD~5" b="" model=pixelcnnpp_small data.batch_size=16

At a constant rate the weights of the last step alone move a small PixelCNN++ by a tenth of a bit, so one figure of one
run says little about a change. Here a run's figure is the mean over its last validations; seeds are paired, since the
order of the data and the noise of training are functions of the seed; and the difference is given with its standard
error over seeds. `a=` and `b=` are what differs: overrides of train.py, `@<revision>` among them for another commit
of this repository. All other arguments are for both.
"""

import argparse
import contextlib
import math
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from rich.console import Console
from rich.table import Table

from genmodels.runs.metrics_csv import read_metrics

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """Of one seed: the mean of its last validations and their standard deviation."""

    figure: float
    wobble: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--every", type=int, default=20, help="steps between validations")
    parser.add_argument("--last", type=int, default=5, help="validations that count")
    parser.add_argument("overrides", nargs="+", metavar="a=... b=... override")
    options = parser.parse_intermixed_args()
    sides = {
        side: value for side, _, value in (text.partition("=") for text in options.overrides) if side in ("a", "b")
    }
    if set(sides) != {"a", "b"} or options.seeds < 2 or options.last * options.every > options.steps:
        parser.error("a= and b= are both needed, two seeds or more, and --last x --every within --steps")
    common = [text for text in options.overrides if text[:2] not in ("a=", "b=")]
    common += [f"trainer.max_steps={options.steps}", "trainer.max_epochs=-1", "trainer.check_val_every_n_epoch=null"]
    common += [f"trainer.val_check_interval={options.every}", "logger=csv", "evaluation.max_images=1"]
    runs = _run_all(sides, common, range(options.seeds), options.last)
    _print(sides, runs)


def _run_all(sides: dict[str, str], common: list[str], seeds: range, last: int) -> dict[str, list[Run]]:
    """Of each side a run for each seed; which side begins changes from seed to seed."""
    runs: dict[str, list[Run]] = {side: [] for side in sides}
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory(prefix="short-runs-") as folder:
        commands = {side: stack.enter_context(_command(text)) for side, text in sides.items()}
        for seed in seeds:
            for side in list(sides)[:: 1 if seed % 2 == 0 else -1]:
                repository, overrides = commands[side]
                to = Path(folder) / f"{side}{seed}"
                _train(repository, [*common, *overrides, f"seed={seed}", f"hydra.run.dir={to}"])
                runs[side].append(_figure(to, last))
                print(f"{side} seed {seed}: {runs[side][-1].figure:.4f}", file=sys.stderr, flush=True)
    return runs


@contextlib.contextmanager
def _command(text: str) -> Iterator[tuple[Path, list[str]]]:
    """Where to run, and the overrides: this working tree, or a worktree of the revision named by `@`."""
    words = shlex.split(text)
    revisions = [word[1:] for word in words if word.startswith("@")]
    overrides = [word for word in words if not word.startswith("@")]
    if not revisions:
        yield REPOSITORY, overrides
        return
    with tempfile.TemporaryDirectory(prefix="short-runs-") as folder:
        tree, git = Path(folder) / "tree", ["git", "-C", str(REPOSITORY), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revisions[-1]], check=True)
        try:
            yield tree, overrides
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def _train(repository: Path, overrides: Sequence[str]) -> None:
    # `-c` in place of a script, so that the package beside the current folder is imported and not the installed one.
    program = f"import sys; sys.path.insert(0, {str(repository)!r}); from genmodels.doors.train import main; main()"
    done = subprocess.run([sys.executable, "-c", program, *overrides], cwd=repository, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip() or f"train.py {shlex.join(overrides)} ended with {done.returncode}")


def _figure(folder: Path, last: int) -> Run:
    rows = [row for row in read_metrics(folder) if row["name"] in ("val/bits_per_dim", "val/nll")]
    if not rows:
        names = sorted({row["name"] for row in read_metrics(folder)})
        sys.exit(f"{folder.name} has no val/bits_per_dim or val/nll to compare, only {', '.join(names)}")
    values = [row["value"] for row in sorted(rows, key=lambda row: row["step"])[-last:]]
    return Run(mean(values), stdev(values) if len(values) > 1 else math.nan)


def _print(sides: dict[str, str], runs: dict[str, list[Run]]) -> None:
    table = Table("", "what", "mean of seeds", "sd over seeds", "sd over last validations")
    for side, of in runs.items():
        figures = [run.figure for run in of]
        within = math.sqrt(mean(run.wobble**2 for run in of))
        table.add_row(side, sides[side], f"{mean(figures):.4f}", f"{stdev(figures):.4f}", f"{within:.4f}")
    differences = [b.figure - a.figure for a, b in zip(runs["a"], runs["b"], strict=True)]
    error = stdev(differences) / math.sqrt(len(differences))
    Console().print(table)
    print(f"b - a: {mean(differences):+.4f} +- {error:.4f} (standard error over {len(differences)} paired seeds)")


if __name__ == "__main__":
    main()
