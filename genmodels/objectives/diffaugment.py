"""DiffAugment: Differentiable Augmentation for Data-Efficient GAN Training (Zhao et al., NeurIPS 2020)."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.errors import UserError
from genmodels.objectives.augmentation import Augmentation
from genmodels.objectives.warping import picked

_Step = Literal["color", "translation", "cutout"]
_SHIFT, _CUT = 0.125, 0.5  # of the side


class DiffAugment(Augmentation):
    """Random colours, shifts and holes, in that strength always (arXiv:2006.10738, Section 4.1, and official code).

    - color: brightness + U(-1/2, 1/2); distance of each pixel from its grey times U(0, 2); of each image from its mean
      times U(1/2, 3/2);
    - translation: by up to an eighth of the side, whole pixels, both ways; zeros, which are grey, come into view;
    - cutout: a square of half the side is zero; its middle is anywhere on the image.

    Args:
        policy: which of them, in this order. The paper's CIFAR-10 takes translation and cutout for BigGAN, and for
            StyleGAN2 color and cutout, with translation too where data is scarce.
    Raises:
        UserError: there is nothing to do, or something unknown.
    """

    def __init__(self, policy: Sequence[_Step] = ("color", "translation", "cutout")) -> None:
        super().__init__()
        if not policy or not set(policy) <= set(get_args(_Step)):
            known = ", ".join(get_args(_Step))
            raise UserError(f"objective.augment.policy must be a list of {known}, got [{', '.join(map(str, policy))}]")
        self.policy = tuple(policy)

    def forward(self, x: Tensor) -> Tensor:
        for step in self.policy:
            x = _STEPS[step](x)
        return x


def _color(x: Tensor) -> Tensor:
    brightness, saturation, contrast = torch.rand(3, len(x), 1, 1, 1, device=x.device, dtype=x.dtype)
    x = x + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * (2 * saturation) + grey
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (contrast + 0.5) + mean


def _translation(x: Tensor) -> Tensor:
    rows, columns = (_moved(x, side) for side in x.shape[2:])
    return picked(F.pad(x, (1, 1, 1, 1)), rows, columns)


def _moved(x: Tensor, side: int) -> Tensor:
    """For each image the rows that are shown, [B, side], in an image with a row of padding at either end."""
    most = int(side * _SHIFT + 0.5)
    steps = torch.randint(-most, most + 1, (len(x), 1), device=x.device)
    return (torch.arange(side, device=x.device) + steps + 1).clamp(0, side + 1)


def _cutout(x: Tensor) -> Tensor:
    rows, columns = (_cut(x, side) for side in x.shape[2:])
    return x.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def _cut(x: Tensor, side: int) -> Tensor:
    """For each image which rows the square covers, [B, side]."""
    size = int(side * _CUT + 0.5)
    middle = torch.randint(0, side + 1 - size % 2, (len(x), 1), device=x.device)
    first = middle - size // 2
    at = torch.arange(side, device=x.device)
    return (at >= first) & (at < first + size)


_STEPS = {"color": _color, "translation": _translation, "cutout": _cutout}
