"""Draw every class by several class-conditional runs, and measure how much of its class each sample is.

python experiments/conditional_generation.py <folder> <run folders>

Any number of runs of one data set of labelled images. The picture has two samples of each class a run, test images on
top; runs that can be guided are drawn with guidance 0, 1 and 2 from the same noise. The figures are of 100 samples a
class: the share whose nearest training image is of the class that was asked for, and the mean distance between two
samples of a class, in grey levels a pixel; both of the test images too. No network judges, so little images alone.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from genmodels.cli import told_in_a_sentence
from genmodels.evaluation.setting import Setting
from genmodels.files import write_text
from genmodels.models.capabilities import offered, required
from genmodels.models.contract import Guidable, Sampler
from genmodels.pictures import save_figure
from genmodels.runs.finished_run import load_run

EACH, SHOWN = 100, 2  # samples of a class: measured, drawn
GUIDANCES = (0.0, 1.0, 2.0)
ROWS = 500  # images at a time

Labelled = tuple[Tensor, Tensor]  # uint8 [N, C, H, W] and classes [N]


def drawn(setting: Setting, each: int) -> Iterator[tuple[str, Labelled]]:
    """So many samples of every class, class after class, and the name of what drew them."""
    y = torch.arange(setting.model.num_classes).repeat_interleave(each)
    name = type(setting.model).__name__
    guided = offered(setting.model, Guidable)
    for guidance in [None] if guided is None else GUIDANCES:
        parts = []
        with torch.no_grad(), setting.noise("conditional generation"):
            for part in y.split(ROWS):
                if guided is None:
                    parts.append(required(setting.model, Sampler, "the picture").sample(len(part), part))
                else:
                    parts.append(guided.sample(len(part), part, guidance=guidance))
        yield name if guidance is None else f"{name}, w = {guidance:g}", (torch.cat(parts), y)


def judged(examples: Labelled, training: Labelled) -> dict[str, float]:
    """The share of images whose nearest training image is of their class, and the spread within the classes."""
    x, y = examples
    distances = torch.cdist(x.flatten(1).float(), training[0].flatten(1).float())
    right = training[1][distances.argmin(dim=1)] == y
    return {"of the class": float(right.double().mean()), "spread": spread(x, y)}


def spread(x: Tensor, y: Tensor) -> float:
    """The mean over classes of the root mean square difference between two images of it, grey levels a pixel."""
    apart = [torch.pdist(x[y == label].flatten(1).float()).mean() for label in y.unique()]
    return float(torch.stack(apart).mean()) / x[0].numel() ** 0.5


def strip(examples: Labelled, shown: int = SHOWN) -> Tensor:
    """The first images of every class, one class a column with a white line about each: [H', W'] in [0, 1]."""
    x, y = examples
    columns = []
    for label in y.unique():
        images = x[y == label][:shown, 0].double() / x.max()
        columns.append(torch.cat([F.pad(image, (1, 1, 1, 1), value=1.0) for image in images]))
    return torch.cat(columns, dim=1)


def draw(rows: dict[str, Labelled], found: dict[str, dict[str, float]], path: Path) -> None:
    """A strip a row, with the share that is of the class."""
    figure = Figure(figsize=(9, 1.3 * len(rows) + 0.5), layout="constrained")
    panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for (name, examples), panel in zip(rows.items(), panels, strict=True):
        image, classes = strip(examples), examples[1].unique()
        panel.imshow(image, cmap="gray", vmin=0, vmax=1)
        width = image.shape[1] / len(classes)
        panel.set(xticks=[(i + 0.5) * width - 0.5 for i in range(len(classes))], yticks=[])
        panel.set_xticklabels([str(int(label)) for label in classes])
        panel.tick_params(length=0, labelbottom=False)
        panel.set_ylabel(
            f"{name}\n{100 * found[name]['of the class']:.0f} % of the class", rotation=0, ha="right", va="center"
        )
        panel.spines[:].set_visible(False)
    panels[0].tick_params(labeltop=True)
    panels[0].set_title("class")
    save_figure(figure, path)


def main(folder: Path, runs: list[str], each: int = EACH) -> dict[str, Any]:
    """Write conditional_generation.png and .json into the folder."""
    settings = [Setting(load_run(run), device="cpu") for run in runs]
    training, test = (
        tuple(map(torch.cat, zip(*loader, strict=True)))
        for loader in (settings[0].training_set(ROWS), settings[0].batches("test", ROWS))
    )
    rows: dict[str, Labelled] = {"test images": (test[0], test[1])}
    for setting in settings:
        rows |= drawn(setting, each)
    found = {name: judged(examples, (training[0], training[1])) for name, examples in rows.items()}
    write_text(folder / "conditional_generation.json", json.dumps({"each": each, **found}, indent=1) + "\n")
    draw(rows, found, folder / "conditional_generation.png")
    return found


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    with told_in_a_sentence([]):
        print(json.dumps(main(Path(sys.argv[1]), sys.argv[2:]), indent=1))
