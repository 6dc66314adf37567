"""Games between a generator and a critic: what every such objective shares."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from genmodels.models.capabilities import required
from genmodels.models.contract import AdversarialPair, Model
from genmodels.objectives.augmentation import Augmentation
from genmodels.objectives.objective import Objective, Selection
from genmodels.objectives.penalty import GeneratorPenalty, Penalty
from genmodels.ranges import at_least


class Adversarial(Objective, ABC):
    """The losses of critic and generator, as functions of scores alone, and what is added to them.

    Args:
        critic_steps: updates of the critic for each one of the generator, each on a batch of its own.
        generator_batch: images of a generator's step, in batches of the data.
        penalty: added to the critic's loss; None for none.
        generator_penalty: added to the generator's loss; None for none.
        augment: what is done to all images before the critic sees them, in both steps; None for nothing.
    Raises:
        UserError: a number is out of its range.
    """

    module: ClassVar[str] = "genmodels.training.AdversarialModule"

    def __init__(
        self,
        critic_steps: int = 1,
        generator_batch: int = 1,
        penalty: Penalty | None = None,
        generator_penalty: GeneratorPenalty | None = None,
        augment: Augmentation | None = None,
    ) -> None:
        at_least(1, under="objective.", critic_steps=critic_steps, generator_batch=generator_batch)
        self.critic_steps, self.generator_batch = critic_steps, generator_batch
        self.penalty, self.generator_penalty, self.augment = penalty, generator_penalty, augment

    @property
    def memory(self) -> dict[str, nn.Module]:
        parts: dict[str, nn.Module | None] = {"generator_penalty": self.generator_penalty, "augment": self.augment}
        return {name: part for name, part in parts.items() if part is not None}

    @abstractmethod
    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the critic minimises. Shapes: scores of data [B] and of samples [N] -> scalar."""

    @abstractmethod
    def generator_loss(self, fake: Tensor) -> Tensor:
        """What the generator minimises. Shapes: scores of samples [N] -> scalar."""

    def check(self, model: Model) -> None:
        """Raise UserError unless `model` is a pair, and one that the parts of the objective can take."""
        pair = required(model, AdversarialPair, "an adversarial objective")
        for part in (self.penalty, self.generator_penalty, self.augment):
            if part is not None:
                part.check(pair)

    def selection(self, model: Model) -> Selection | None:
        return None
