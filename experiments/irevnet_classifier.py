"""Train i-RevNet as what it is in its paper, a classifier, and invert it from its last layer.

python experiments/irevnet_classifier.py <folder> [digits|mnist|cifar10] [<folder of the data sets>] [<epochs>]

The body of `model=irevnet` (Jacobsen et al. 2018), then batch norm, ReLU, an average over positions and a linear map to
the classes, as in the official code: only this last projection loses information. So an image comes back from what goes
into it, whatever the network has learned to ignore; how exactly is measured on the test set. The body is trained by
reversible backpropagation. By SGD with momentum 0.9 and weight decay 5e-4 as the official code for CIFAR, on a cosine
schedule from 0.05, without augmentation. Digits (the default) take a CPU minute.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from genmodels.bijections import reversibly
from genmodels.cli import told_in_a_sentence
from genmodels.data import Options
from genmodels.data.sources import source_for
from genmodels.files import write_text
from genmodels.models.flows.irevnet import features, irevnet_body
from genmodels.pictures import save_figure
from genmodels.progress_bar import progress
from genmodels.randomness import generator_for


@dataclass(frozen=True)
class Setting:
    """Of one data set: the stages of the body, hidden channels of its blocks, epochs."""

    num_blocks: Sequence[int]
    strides: Sequence[int]
    width: int
    epochs: int


SETTINGS = {
    "digits": Setting((4, 4), (2, 2), 64, 30),
    "mnist": Setting((4, 4), (2, 1), 64, 3),
    "cifar10": Setting((6, 6, 6), (2, 2, 1), 128, 30),
}
BATCH, RATE, SHOWN = 64, 0.05, 10


class IRevNetClassifier(nn.Module):
    """Body and projection. Shapes: x in [-1, 1], [B, channels, H, W] -> scores [B, num_classes]."""

    def __init__(self, channels: int, num_classes: int, setting: Setting) -> None:
        super().__init__()
        self.strides = setting.strides
        sizes = (3, 3, 3)  # of the released code
        self.body = irevnet_body(channels, setting.num_blocks, setting.strides, setting.width, sizes)
        num_features = channels * 4 ** (1 + list(setting.strides).count(2))
        self.norm = nn.BatchNorm2d(num_features, momentum=0.9)
        self.linear = nn.Linear(num_features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        z, _ = reversibly(self.body, x)
        h = F.relu(self.norm(features(z, self.strides)))
        return self.linear(h.mean(dim=(2, 3)))


def read(name: str, folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Images in [-1, 1], [N, C, H, W], and labels, [N]."""
    source = source_for(Options(name, folder))
    examples = source.read(part)
    x, y = examples[torch.arange(len(examples))]
    assert y is not None  # all of these have labels
    assert source.levels is not None  # and are images
    return x * (2.0 / (source.levels - 1)) - 1.0, y


def train(x: Tensor, y: Tensor, setting: Setting, epochs: int) -> IRevNetClassifier:
    """By SGD; the same weights in every run."""
    torch.manual_seed(0)
    model = IRevNetClassifier(x.shape[1], int(y.max()) + 1, setting)
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * (len(x) // BATCH))
    generator = generator_for("i-RevNet classifier")
    for _ in progress(range(epochs), "epochs"):
        for batch in torch.randperm(len(x), generator=generator)[: len(x) // BATCH * BATCH].split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """The fraction of images whose class it finds."""
    found = torch.cat([model(batch).argmax(dim=1) for batch in x.split(1000)])
    return float((found == y).double().mean())


@torch.no_grad()
def inverted(model: IRevNetClassifier, x: Tensor) -> tuple[Tensor, Tensor]:
    """What goes into the projection, laid out as images, and the images made of it alone; both [N, C, H, W]."""
    z = torch.cat([model.body(batch)[0] for batch in x.split(1000)])
    return z, torch.cat([model.body.inverse(batch)[0] for batch in z.split(1000)])


def draw(x: Tensor, z: Tensor, back: Tensor, path: Path) -> None:
    """Rows: images, their last layer (grey is nought, two deviations are black and white), images made of that."""
    rows = {"image": x, "last layer": (z / (2 * z.std())).clamp(-1, 1), "inverse": back.clamp(-1, 1)}
    figure = Figure(figsize=(1 + 0.9 * len(x), 3.0), layout="constrained")
    for axes_row, (title, images) in zip(figure.subplots(3, len(x)), rows.items(), strict=True):
        for axes, image in zip(axes_row, images, strict=True):
            axes.imshow((image.permute(1, 2, 0).squeeze(-1) + 1) / 2, cmap="gray", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        axes_row[0].set_ylabel(title)
    save_figure(figure, path)


def main(folder: Path, name: str = "digits", data: Path = Path("data"), epochs: int | None = None) -> dict[str, float]:
    """Write irevnet_classifier.png and .json, for other data than digits irevnet_classifier_<data>, into the folder."""
    setting = SETTINGS[name]
    epochs = setting.epochs if epochs is None else epochs
    model = train(*read(name, data, "train"), setting, epochs)
    x, y = read(name, data, "test")
    z, back = inverted(model, x)
    error = (back - x).abs() / 2  # of pixels in [0, 1]
    found = {
        "test accuracy": accuracy(model, x, y),
        "test images": len(x),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "largest error of the inverse": float(error.max()),
        "mean error of the inverse": float(error.mean()),
    }
    stem = "irevnet_classifier" if name == "digits" else f"irevnet_classifier_{name}"
    write_text(folder / f"{stem}.json", json.dumps({"data": name, "epochs": epochs, **found}, indent=1) + "\n")
    draw(x[:SHOWN], z[:SHOWN], back[:SHOWN], folder / f"{stem}.png")
    return found


if __name__ == "__main__":
    if len(sys.argv) < 2 or (sys.argv[2:] and sys.argv[2] not in SETTINGS):
        sys.exit(__doc__)
    with told_in_a_sentence([]):
        rest = (*sys.argv[2:3], *map(Path, sys.argv[3:4]), *map(int, sys.argv[4:5]))
        print(json.dumps(main(Path(sys.argv[1]), *rest), indent=1))
