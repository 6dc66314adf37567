"""What every objective says: how a model is trained for it, and which figure selects the weights."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple

from torch import Tensor, nn

from genmodels.models.model import Model

Direction = Literal["lower", "higher"]


class Selection(NamedTuple):
    """The validation figure that selects weights: logged as `val/<name>`."""

    name: str
    direction: Direction = "lower"  # which is better


class Objective(ABC):
    """What a model is trained for.

    Attributes:
        module: full name of the Lightning module that trains for it, a subclass of `genmodels.training.TrainingModule`.
        target: log p(x) of the density to be learned, [B, D] -> [B] nats, where it is known.
    """

    module: ClassVar[str] = "genmodels.training.LikelihoodModule"
    target: Callable[[Tensor], Tensor] | None = None

    @property
    def memory(self) -> dict[str, nn.Module]:
        """By name, its parts that keep something from step to step: they go to the device and into checkpoints."""
        return {}

    @abstractmethod
    def check(self, model: Model) -> None:
        """Raise UserError where model and objective do not go together."""

    @abstractmethod
    def selection(self, model: Model) -> Selection | None:
        """The figure that selects weights; None: there is none, and the last weights count."""


class Loss(Objective):
    """An objective that is one scalar of a model and a batch, minimised over all parameters."""

    def at_step(self, step: int) -> None:
        """Called before each training batch with the steps taken so far, for losses that change on the way."""

    @abstractmethod
    def __call__(self, model: Model, x: Tensor, y: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the scalar loss and, by name, the metrics to log, the one of `selection` among them."""
