"""The readers on the published files themselves."""

import numpy as np
import pytest
import torch

from genmodels.data import DataModule
from genmodels.data.source import Options
from genmodels.data.sources import source_for


@pytest.mark.parametrize(
    ("name", "part", "count", "per_class", "mean"),
    [
        ("cifar10", "train", 50_000, [5000] * 10, 120.7),
        ("cifar10", "test", 10_000, [1000] * 10, 121.5),
        ("mnist", "train", 60_000, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949], 33.3),
        ("mnist", "test", 10_000, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009], 33.8),
        ("fashion_mnist", "train", 60_000, [6000] * 10, 72.9),
        ("fashion_mnist", "test", 10_000, [1000] * 10, 73.1),
    ],
)
def test_counts_and_mean_grey_value_are_the_known_ones(real_data, name, part, count, per_class, mean):
    examples = source_for(Options(name, real_data)).read(part)
    assert len(examples) == count
    assert torch.bincount(examples.y).tolist() == per_class
    assert abs(float(np.mean(examples.x.numpy())) - mean) < 0.1


def test_static_mnist_has_the_published_sizes(real_data):
    source = source_for(Options("binarized_mnist_static", real_data))
    assert [len(source.read(part)) for part in ("train", "validation", "test")] == [50_000, 10_000, 10_000]
    assert abs(float(source.read("test").x.float().mean()) - 0.1327) < 0.002


def test_cifar10_is_split_without_overlap(real_data):
    data = DataModule("cifar10", [3, 32, 32], 256, 10, str(real_data), batch_size=100, validation=5000)
    train, validation = data.train_dataloader(), data.val_dataloader()
    assert (len(train), len(validation), len(data.test_dataloader())) == (450, 50, 100)
    assert not set(train.examples.rows.tolist()) & set(validation.examples.rows.tolist())
    counts = torch.bincount(validation.examples.y[validation.examples.rows])
    assert counts.min() > 420  # 500 of each class, within about 4 standard deviations of 20


def test_dynamic_binarisation_of_mnist_keeps_the_mean(real_data):
    data = DataModule(
        "binarized_mnist", [1, 28, 28], 2, 10, str(real_data), batch_size=500, validation=10_000, binarize=True
    )
    ones = torch.cat([x for x, _ in data.test_dataloader()]).float().mean()
    assert abs(float(ones) - 33.79 / 255) < 0.001
