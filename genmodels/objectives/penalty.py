"""What is added to the loss of a critic, or of a generator."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from genmodels.models.contract import AdversarialPair

Critic = Callable[[Tensor], Tensor]  # floats [B, *shape] -> scores [B], the labels given


class Penalty(ABC):
    """A term of the critic's loss, computed in the precision of the weights where the rest is in a mixed one.

    Attributes:
        every: it is part of every so-many-th update of the critic, as many times as large (lazy regularisation,
            Karras et al. 2020b).
    """

    every: int = 1

    @abstractmethod
    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor | None:
        """Shapes: data and samples [B, *shape], detached -> scalar, None for nothing."""

    def after_step(self, discriminator: nn.Module) -> None:  # noqa: B027
        """Called after each update of the critic."""

    def check(self, pair: AdversarialPair) -> None:  # noqa: B027
        """Raise UserError where the pair's critic cannot have it."""


class GeneratorPenalty(nn.Module, ABC):
    """A term of the generator's loss; a module, for what it keeps from step to step.

    Attributes:
        every: as of `Penalty`, of the generator's updates.
    """

    every: int = 1

    @abstractmethod
    def forward(self, pair: AdversarialPair, z: Tensor, y: Tensor | None) -> Tensor:
        """Shapes: latents [B, Z] and labels [B] of this step -> scalar."""

    def check(self, pair: AdversarialPair) -> None:
        """Raise UserError where the pair's generator cannot have it."""
