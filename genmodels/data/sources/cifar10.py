"""CIFAR-10 and SVHN: colour images of 32x32 pixels in ten classes."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision import datasets

from genmodels.data.examples import Examples
from genmodels.data.files import download, require, require_intact
from genmodels.data.source import Source


class CIFAR10(Source):
    """60,000 images [3, 32, 32] in 10 classes (Krizhevsky 2009): 50,000 for training, 10,000 for test.

    Files as torchvision keeps them: <root>/cifar-10-batches-py/{data_batch_1..5,test_batch}.
    """

    title = "CIFAR-10"
    folder = "cifar-10-batches-py"

    def read(self, part: str) -> Examples:
        folder = require(self.root / self.folder, self.title)
        files = datasets.CIFAR10.test_list if part == "test" else datasets.CIFAR10.train_list
        batches = [_unpickle(require_intact(folder / name, md5, self.title)) for name, md5 in files]
        x = np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, 3, 32, 32)
        y = np.concatenate([batch[b"labels"] for batch in batches])
        return Examples(torch.from_numpy(x), torch.from_numpy(y))

    def download(self) -> None:
        by_hand = f"unpack {datasets.CIFAR10.url} in {self.root.absolute()}"
        download(lambda: datasets.CIFAR10(str(self.root), download=True), self.title, by_hand)


def _unpickle(path: Path) -> dict[bytes, Any]:
    with path.open("rb") as file:  # a pickle can run code: only the published files get here, by their md5
        return pickle.load(file, encoding="bytes")


class SVHN(Source):
    """99,289 images [3, 32, 32] of house numbers in 10 classes (Netzer et al. 2011): 73,257 for training, 26,032 for
    test; the 531,131 "extra" images are not used. Files as torchvision keeps them: <root>/{train,test}_32x32.mat.
    """

    title = "SVHN"

    def read(self, part: str) -> Examples:
        from scipy.io import loadmat  # slow to import and needed here alone

        _, name, md5 = datasets.SVHN.split_list["test" if part == "test" else "train"]
        content = loadmat(require_intact(self.root / name, md5, self.title))
        x = np.ascontiguousarray(content["X"].transpose(3, 2, 0, 1))
        y = content["y"].astype(np.int64).reshape(-1) % 10  # the file calls the digit 0 class 10
        return Examples(torch.from_numpy(x), torch.from_numpy(y))

    def download(self) -> None:
        for part in ("train", "test"):
            url = datasets.SVHN.split_list[part][0]
            by_hand = f"get {url} and put it into {self.root.absolute()}"
            download(lambda: datasets.SVHN(str(self.root), part, download=True), self.title, by_hand)  # noqa: B023
