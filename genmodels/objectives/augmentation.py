"""What is done to images before a critic sees them."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from genmodels.models.contract import AdversarialPair


class Augmentation(nn.Module, ABC):
    """A differentiable random map of images, applied to data and samples alike so that samples need not show it."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Shapes: floats [B, C, H, W] from -1 to 1 -> the same."""

    def observe(self, real_scores: Tensor) -> None:
        """Called after each update of the critic with its scores [B] of augmented data."""

    def check(self, pair: AdversarialPair) -> None:
        """Raise UserError where it cannot be applied to what `pair` makes."""
