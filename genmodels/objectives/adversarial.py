"""Games between a generator and a critic: what every such objective shares."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.features import FeatureExtractor, chosen_features
from genmodels.models.capabilities import required
from genmodels.models.contract import AdversarialPair
from genmodels.models.model import Model
from genmodels.objectives.augmentation import Augmentation
from genmodels.objectives.objective import Objective, Selection
from genmodels.objectives.penalty import GeneratorPenalty, Penalty
from genmodels.pictures import is_image
from genmodels.ranges import at_least

FEWEST = 4  # examples to be compared: two halves of two


class Adversarial(Objective, ABC):
    """The losses of critic and generator, as functions of scores alone, and what is added to them.

    Args:
        critic_steps: updates of the critic for each one of the generator, each on a batch of its own.
        generator_batch: images of a generator's step, in batches of the data.
        penalty: added to the critic's loss; None for none.
        generator_penalty: added to the generator's loss; None for none.
        augment: what is done to all images before the critic sees them, in both steps; None for nothing.
        compared: validation examples, and as many samples, whose Fréchet distance selects the weights (Heusel et al.
            2017), in features that are cheap: those of `SmallFeatures` for images of 1 or 3 channels, vectors as they
            are. 0: there is no such figure, and the last weights count.

    Attributes:
        zero_decides: a critic that does its best scores above 0 what is likelier data, and below what is likelier not.

    Raises:
        UserError: a number is out of its range.
    """

    zero_decides: ClassVar[bool] = True
    module: ClassVar[str] = "genmodels.training.AdversarialModule"

    def __init__(
        self,
        critic_steps: int = 1,
        generator_batch: int = 1,
        penalty: Penalty | None = None,
        generator_penalty: GeneratorPenalty | None = None,
        augment: Augmentation | None = None,
        compared: int = 2000,
    ) -> None:
        if compared and compared < FEWEST:
            raise UserError(f"objective.compared must be 0 or at least {FEWEST}, got {compared}")
        at_least(1, under="objective.", critic_steps=critic_steps, generator_batch=generator_batch)
        self.critic_steps, self.generator_batch = critic_steps, generator_batch
        self.penalty, self.generator_penalty, self.augment = penalty, generator_penalty, augment
        self.compared = compared

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
        if self.augment is not None and self.augment.goes_by_signs and not self.zero_decides:
            raise UserError(
                f"{type(self.augment).__name__} goes by the sign of scores, which tells nothing in a game of "
                f"{type(self).__name__}: choose objective=non_saturating or objective=hinge, or another augmentation"
            )

    def features(self, model: Model) -> FeatureExtractor | None:
        """In which validation compares samples with data, on the CPU; None where it does not."""
        if not self.compared or not (model.levels is None or is_image(model.shape)):
            return None
        return chosen_features("auto" if model.levels is None else "small", model.shape, model.levels)

    def selection(self, model: Model) -> Selection | None:
        features = self.features(model)
        return None if features is None else Selection(features.figure_name("fid"))
