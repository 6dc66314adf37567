"""Images per CPU second of the batch loader, against torch's DataLoader that handles one image at a time.

    python experiments/benchmarks/loader.py [data_dir]

Both give batches of 128 CIFAR-10 training images, mirrored at random, in one thread of one process. The other path is
the usual one: torchvision's data set, RandomHorizontalFlip, PILToTensor, DataLoader(num_workers=0). The two take turns,
so that a busy machine slows both. Without the files, random images of the same shape stand in.
"""

import genmodels  # noqa: F401  # isort: skip  # before anything that imports torchvision

import sys
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from genmodels.data import BatchLoader, DataModule, EpochSampler, Examples
from genmodels.data.augment import Augmentation
from genmodels.errors import UserError

BATCH, ROUNDS, BATCHES_PER_ROUND = 128, 7, 40


def main() -> None:
    torch.set_num_threads(1)
    console = Console()
    examples = _examples(Path(sys.argv[1] if len(sys.argv) > 1 else "data"), console)
    paths: dict[str, Callable[[], Iterable]] = {
        "per-item DataLoader": lambda: _per_item(examples),
        "BatchLoader, flips": lambda: _batched(examples, Augmentation(flip=True)),
        "BatchLoader, flips and shifts": lambda: _batched(examples, Augmentation(flip=True, shift=0.1)),
    }
    speeds: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(ROUNDS):
        for name, loader in paths.items():
            speeds[name].append(_images_per_cpu_second(loader()))
    table = Table("loader", "images per CPU second", "ratio")
    base = median(speeds["per-item DataLoader"])
    for name, values in speeds.items():
        table.add_row(name, f"{median(values):,.0f}", f"{median(values) / base:.1f}")
    console.print(table)


def _examples(root: Path, console: Console) -> Examples:
    try:
        data = DataModule("cifar10", [3, 32, 32], 256, 10, str(root), BATCH, validation=5000)
        return data.train_dataloader().examples
    except UserError as error:
        console.print(f"{error} Random images stand in.", highlight=False)
        return Examples(torch.randint(256, (50_000, 3, 32, 32), dtype=torch.uint8), torch.zeros(50_000).long())


def _batched(examples: Examples, augmentation: Augmentation) -> BatchLoader:
    return BatchLoader(examples, EpochSampler(len(examples), BATCH, shuffle=True), augmentation)


def _per_item(examples: Examples) -> DataLoader:
    x, y = examples[torch.arange(len(examples))]
    assert y is not None
    transform = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.PILToTensor()])
    cifar = _InMemoryCIFAR10(x.permute(0, 2, 3, 1).numpy(), y.tolist(), transform)
    return DataLoader(cifar, batch_size=BATCH, shuffle=True, drop_last=True)


class _InMemoryCIFAR10(datasets.CIFAR10):
    """torchvision's data set, item by item, around images that are loaded already."""

    def __init__(self, images: np.ndarray, labels: list[int], transform: Callable) -> None:
        self.data, self.targets = images, labels
        self.transform, self.target_transform = transform, None


def _images_per_cpu_second(loader: Iterable) -> float:
    start = time.process_time()
    images = sum(len(x) for x, _ in islice(loader, BATCHES_PER_ROUND))
    return images / (time.process_time() - start)


if __name__ == "__main__":
    main()
