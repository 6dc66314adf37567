"""What is done to images before a critic sees them."""

from abc import ABC, abstractmethod
from typing import ClassVar, cast

from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.models.contract import AdversarialPair
from genmodels.models.model import Model


class Augmentation(nn.Module, ABC):
    """A differentiable random map of images, applied to data and samples alike so that samples need not show it.

    Attributes:
        goes_by_signs: of the scores that it observes, which have to mean something.
    """

    goes_by_signs: ClassVar[bool] = False

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Shapes: floats [B, C, H, W] from -1 to 1 -> the same."""

    def observe(self, real_scores: Tensor) -> None:
        """Called after each update of the critic with its scores of augmented data, [B] of all ranks together."""

    def check(self, pair: AdversarialPair) -> None:
        """Raise UserError where it cannot be applied to what `pair` makes."""
        needs_images("objective/augment", pair)


def needs_images(asker: str, pair: AdversarialPair) -> None:
    """Raise UserError, on behalf of what the user typed, unless `pair` makes images."""
    shape = cast(Model, pair).shape
    if len(shape) != 3:
        raise UserError(f"{asker} is for images, and the data holds vectors of shape {list(shape)}: choose none")
