"""Train the small networks whose features the package measures samples with, and say how well they classify.

python experiments/train_features.py grey|colour <folder of the data sets> <file.safetensors> [<epochs>]

`grey` learns MNIST and Fashion-MNIST together, 20 classes; `colour` learns CIFAR-10, with mirrored and shifted images.
A few minutes each on one CPU thread. The package's own are genmodels/features/weights/{grey,colour}.safetensors, of
seed 0 and the default epochs; new weights are new features, and their figures compare with nobody's older ones.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor

from genmodels.cli import told_in_a_sentence
from genmodels.data import Options
from genmodels.data.augment import Augmentation
from genmodels.data.sources import source_for
from genmodels.features import SmallFeatures
from genmodels.files import replacing
from genmodels.progress_bar import progress
from genmodels.randomness import generator_for

SETS = {"grey": ("mnist", "fashion_mnist"), "colour": ("cifar10",)}
EPOCHS = {"grey": 2, "colour": 8}
BATCH, RATE = 128, 4e-3


def read(names: Sequence[str], folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """All images [N, C, H, W] and labels [N] of the sets, the classes of each after those of the one before."""
    images, labels = [], []
    for offset, name in enumerate(names):
        examples = source_for(Options(name, folder)).read(part)
        x, y = examples[torch.arange(len(examples))]
        assert y is not None  # all three have labels
        images.append(x)
        labels.append(y + 10 * offset)
    return torch.cat(images), torch.cat(labels)


def train(x: Tensor, y: Tensor, num_classes: int, epochs: int, augmentation: Augmentation | None) -> SmallFeatures:
    """By Adam, the rate up and down once."""
    torch.manual_seed(0)
    network = SmallFeatures(x.shape[1], num_classes).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), weight_decay=1e-5)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.2)
    generator = generator_for("train features")
    rows = torch.cat([torch.randperm(len(x), generator=generator)[: len(x) // BATCH * BATCH] for _ in range(epochs)])
    for batch in progress(rows.split(BATCH), "training"):
        images = x[batch] if augmentation is None else augmentation(x[batch], generator)
        _, logits = network.features_and_logits(images)
        optimizer.zero_grad()
        F.cross_entropy(logits, y[batch]).backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def accuracy(network: SmallFeatures, x: Tensor, y: Tensor) -> float:
    """The fraction of images whose class it finds."""
    found = [network.features_and_logits(batch)[1].argmax(dim=1) for batch in x.split(1000)]
    return float((torch.cat(found) == y).double().mean())


def main(kind: str, folder: Path, out: Path, epochs: int) -> None:
    names = SETS[kind]
    x, y = read(names, folder, "train")
    network = train(x, y, 10 * len(names), epochs, Augmentation(flip=True, shift=0.1) if kind == "colour" else None)
    for position, name in enumerate(names):
        images, labels = read([name], folder, "test")
        print(f"{name}: test accuracy {accuracy(network, images, labels + 10 * position):.4f}")
    with replacing(out) as file:
        file.write(save({key: value.contiguous() for key, value in network.state_dict().items()}))
    print(f"written to {out}, fingerprint {network.fingerprint}")


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[1] not in SETS:
        sys.exit(__doc__)
    with told_in_a_sentence([]):
        main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int((sys.argv[4:] or [EPOCHS[sys.argv[1]]])[0]))
