"""MNIST and Fashion-MNIST from their idx files, and the static binarisation of MNIST."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torchvision import datasets
from torchvision.datasets.mnist import read_image_file, read_label_file
from torchvision.datasets.utils import download_url

from genmodels.data.examples import Examples
from genmodels.data.files import corrupt, download, require, require_intact
from genmodels.data.source import Options, Source
from genmodels.errors import UserError

SIDE = 28


class MNIST(Source):
    """70,000 grey images [1, 28, 28] in 10 classes (LeCun et al. 1998): 60,000 for training, 10,000 for test.

    Files as torchvision keeps them: <root>/MNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte. `data.size=32` adds
    a border of zeros, as the codes of Glow and i-ResNet do for models that halve the side more than twice.
    """

    title = "MNIST"
    accepts = frozenset({"size"})
    torchvision_class = datasets.MNIST
    md5 = {  # of the extracted files; torchvision knows those of the .gz
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.border = _border(options)
        self.folder = self.root / self.torchvision_class.__name__ / "raw"

    def read(self, part: str) -> Examples:
        prefix = "t10k" if part == "test" else "train"
        images = read_image_file(str(self._file(f"{prefix}-images-idx3-ubyte")))
        labels = read_label_file(str(self._file(f"{prefix}-labels-idx1-ubyte")))
        return Examples(pad(images[:, None], [self.border] * 4), labels)

    def download(self) -> None:
        by_hand = f"put {', '.join(self.md5)} into {self.folder.absolute()}"
        download(lambda: self.torchvision_class(str(self.root), download=True), self.title, by_hand)

    def _file(self, name: str) -> Path:
        return require_intact(self.folder / name, self.md5[name], self.title)


class FashionMNIST(MNIST):
    """70,000 grey images [1, 28, 28] of clothing in 10 classes (Xiao et al. 2017), split and stored like MNIST."""

    title = "Fashion-MNIST"
    torchvision_class = datasets.FashionMNIST
    md5 = {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    }


class StaticallyBinarizedMNIST(Source):
    """The fixed 0/1 version of MNIST, [1, 28, 28] without labels: 50,000 training, 10,000 validation, 10,000 test.

    Binarised by Salakhutdinov and Murray (2008), files by Larochelle and Murray (2011):
    <root>/BinarizedMNIST/binarized_mnist_{train,valid,test}.amat.
    """

    title = "binarized MNIST"
    levels = 2
    own_validation = True
    accepts = frozenset({"size"})
    url = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist"
    md5 = {
        "binarized_mnist_train.amat": "db28b1a6ae0fe70cbd3da91acf46e477",
        "binarized_mnist_valid.amat": "bf37822a04e94123630de6a7dfd9c9ef",
        "binarized_mnist_test.amat": "14e41ae11040adba6ab8cb291eda0dd8",
    }

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.border = _border(options)
        self.folder = self.root / "BinarizedMNIST"

    def read(self, part: str) -> Examples:
        name = f"binarized_mnist_{'valid' if part == 'validation' else part}.amat"
        path = require_intact(self.folder / name, self.md5[name], self.title)
        return Examples(pad(read_amat(path, self.title), [self.border] * 4))

    def download(self) -> None:
        by_hand = f"put {', '.join(self.md5)} into {self.folder.absolute()}"
        for name, md5 in self.md5.items():
            url = f"{self.url}/{name}"
            download(lambda: download_url(url, str(self.folder), name, md5), self.title, by_hand)  # noqa: B023


def read_amat(path: Path, title: str) -> Tensor:
    """A text file of 784 single digits 0 or 1 a line -> uint8 [N, 1, 28, 28]. Raises UserError on any other text."""
    characters = np.fromfile(require(path, title), dtype=np.uint8)
    digits = characters[::2] - ord("0")  # every other character is a space or a line's end
    if len(characters) % (2 * SIDE * SIDE) or digits.max(initial=0) > 1:
        raise corrupt(path, title, "it is not 784 digits 0 or 1 a line")
    return torch.from_numpy(digits).view(-1, 1, SIDE, SIDE)


def _border(options: Options) -> int:
    size = SIDE if options.size is None else options.size
    if not isinstance(size, int) or size < SIDE or size % 2:
        raise UserError(f"data.size={size} is impossible for {options.name}: use 28, or 32 for a border of zeros.")
    return (size - SIDE) // 2
