"""CelebA, aligned and cropped faces."""

import numpy as np
from PIL import Image
from torchvision import datasets

from genmodels.data.colours import in_colours
from genmodels.data.examples import Examples, ImageFiles
from genmodels.data.files import corrupt, download, require
from genmodels.data.source import Source
from genmodels.errors import UserError

PARTITION = {"train": "0", "validation": "1", "test": "2"}
BY_HAND = (
    "get img_align_celeba.zip and list_eval_partition.txt from http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html "
    "and unpack them in"
)


class FaceCrop:
    """The inner 148x148 pixels of the 178x218 picture (rows 40-187, columns 15-162), brought to size x size.

    The box and the bilinear interpolation between two neighbours (no averaging) are those of the RealNVP code, whose
    64x64 figure the later papers compare with; other crops are easier or harder and their bits/dim differ. The code
    keeps the interpolated values real; here they are rounded to integers, which is what bits/dim is defined on.
    """

    top, left, side = 40, 15, 148

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, picture: Image.Image) -> np.ndarray:
        step = self.side / self.size
        centre = (1 - step) / 2  # Pillow counts from the pixel's corner, TensorFlow 1 from its centre
        matrix = (step, 0.0, self.left + centre, 0.0, step, self.top + centre)
        size = (self.size, self.size)
        affine, bilinear = Image.Transform.AFFINE, Image.Resampling.BILINEAR
        return np.array(in_colours(picture, "RGB").transform(size, affine, matrix, bilinear))


class CelebA(Source):
    """202,599 faces, cropped to [3, size, size] as `FaceCrop` says (Liu et al. 2015), with the official parts: 162,770
    training, 19,867 validation, 19,962 test; no labels. Decoded from the files when needed.

    Files as torchvision keeps them: <root>/celeba/img_align_celeba/*.jpg and <root>/celeba/list_eval_partition.txt.
    """

    title = "CelebA"
    own_validation = True
    accepts = frozenset({"size"})

    def read(self, part: str) -> Examples:
        folder = self.root / "celeba"
        remedy = f"{BY_HAND} {folder.absolute()}, or add data.download=true (Google Drive often refuses)"
        pictures = require(folder / "img_align_celeba", self.title, remedy)
        partition = require(folder / "list_eval_partition.txt", self.title, remedy)
        lines = [line.split() for line in partition.read_text().splitlines() if line.strip()]
        if any(len(line) != 2 for line in lines):
            raise corrupt(partition, self.title, "not every line is a file name and a number")
        names = [name for name, number in lines if number == PARTITION[part]]
        return Examples(ImageFiles(str(pictures), names, FaceCrop(self._size())))

    def download(self) -> None:
        if not (self.root / "celeba" / "img_align_celeba").is_dir():
            by_hand = f"{BY_HAND} {(self.root / 'celeba').absolute()}"
            download(lambda: datasets.CelebA(str(self.root), download=True), self.title, by_hand)

    def _size(self) -> int:
        size = 64 if self.options.size is None else self.options.size
        if not isinstance(size, int) or not 1 <= size <= FaceCrop.side:
            raise UserError(f"data.size={size} is impossible for celeba: use at most {FaceCrop.side}, usually 64.")
        return size
