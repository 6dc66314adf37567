"""The 8x8 handwritten digits that come with scikit-learn."""

import torch
from sklearn.datasets import load_digits

from genmodels.data.examples import Examples, hold_out
from genmodels.data.source import Source

TEST_IMAGES = 250


class Digits(Source):
    """1,797 real images [1, 8, 8] of 17 grey levels in 10 classes: the UCI "optical recognition of handwritten digits"
    test set, which scikit-learn carries along, so that nothing is downloaded.

    There is no official split of it: `split_seed` draws 250 test images (and the data module 250 for validation).
    """

    title = "digits"
    levels = 17

    def read(self, part: str) -> Examples:
        images, labels = load_digits(return_X_y=True)
        x = torch.from_numpy(images).to(torch.uint8).view(-1, 1, 8, 8)
        y = torch.from_numpy(labels).long()
        rest, test = hold_out(len(x), TEST_IMAGES, "test", self.options.split_seed)
        return Examples(x, y).part(test if part == "test" else rest)
