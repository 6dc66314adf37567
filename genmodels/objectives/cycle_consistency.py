"""What CycleGAN is trained for (Zhu et al., ICCV 2017)."""

from typing import ClassVar

from torch import Tensor

from genmodels.models.capabilities import required
from genmodels.models.contract import TranslationPair
from genmodels.models.model import Model
from genmodels.objectives.objective import Objective, Selection
from genmodels.ranges import at_least


class CycleConsistency(Objective):
    """Least squares against a critic in each domain, and |F(G(x)) - x| (Equations 2 and 3, Sections 4 and 5.2).

        generators: E[(D_Y(G(x)) - 1)^2] + cycle * (E|F(G(x)) - x| + identity * E|F(x) - x|), and likewise from Y
        critics:    (E[(D_Y(y) - 1)^2] + E[D_Y(y')^2]) / 2, y' of a history of samples, and likewise of X

    Args:
        cycle: lambda.
        identity: weight of what a generator does to images of its own domain, in units of `cycle`; the official code
            has 0.5, the paper for paintings alone.
        history: earlier samples of each generator, half of which its critic sees in place of new ones; 0 for none.
    Raises:
        UserError: a number is out of its range.
    """

    module: ClassVar[str] = "genmodels.training.TranslationModule"

    def __init__(self, cycle: float = 10.0, identity: float = 0.5, history: int = 50) -> None:
        at_least(0, under="objective.", cycle=cycle, identity=identity, history=history)
        self.cycle, self.identity, self.history = cycle, identity, history

    def critic_loss(self, real: Tensor) -> Tensor:
        """Of data, whose scores are to be 1."""
        return (real - 1).square().mean() / 2

    def critic_loss_of_samples(self, fake: Tensor) -> Tensor:
        """Of samples, whose scores are to be 0."""
        return fake.square().mean() / 2

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Of samples, whose scores are to be 1."""
        return (fake - 1).square().mean()

    def check(self, model: Model) -> None:
        """Raise UserError unless `model` translates, and has a critic of each domain."""
        required(model, TranslationPair, "objective=cyclegan")

    def selection(self, model: Model) -> Selection | None:
        return None
