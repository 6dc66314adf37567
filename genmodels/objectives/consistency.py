"""Consistency regularisation of the critic (CR-GAN, Zhang et al., ICLR 2020)."""

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.models.contract import AdversarialPair
from genmodels.objectives.augmentation import needs_images
from genmodels.objectives.penalty import Critic, Penalty
from genmodels.objectives.warping import mirrored, picked
from genmodels.ranges import at_least


class Consistency(Penalty):
    """weight * E[|D(x) - D(T(x))|^2] over data; T mirrors half of the images and shifts all (arXiv:1910.12027, Eq. 3).

    By whole pixels, up to `shift` both ways; what comes into view is mirrored. Both scores are trained. Only the
    score is held to it, as in the paper's final form, not the layers before it.

    Args:
        weight: lambda; the paper's is 10.
        shift: in pixels; the paper's is 4.
        flip: mirror half of the images left to right.
    Raises:
        UserError: a number is out of its range, or T would change nothing.
    """

    def __init__(self, weight: float = 10.0, shift: int = 4, flip: bool = True) -> None:
        at_least(0, under="objective.penalty.", weight=weight, shift=shift)
        if not flip and not shift:
            raise UserError("objective.penalty.shift=0 and flip=false leave images as they are: take one of them")
        self.weight, self.shift, self.flip = weight, shift, flip

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return self.weight * (critic(real) - critic(self._moved(real))).square().mean()

    def check(self, pair: AdversarialPair) -> None:
        needs_images("objective/penalty=consistency", pair)

    def _moved(self, x: Tensor) -> Tensor:
        rows, columns = (self._shown(x, side) for side in x.shape[2:])
        if self.flip:
            chosen = torch.rand(len(x), 1, device=x.device) < 0.5
            columns = torch.where(chosen, x.shape[3] - 1 - columns, columns)
        return picked(x, rows, columns)

    def _shown(self, x: Tensor, side: int) -> Tensor:
        """For each image the rows that are shown, [B, side]."""
        steps = torch.randint(-self.shift, self.shift + 1, (len(x), 1), device=x.device)
        return mirrored(torch.arange(side, device=x.device) + steps, side)
