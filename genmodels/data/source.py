"""What a data set is to the data module: files on one side, examples on the other."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from genmodels.data.examples import Examples
from genmodels.distributions.modes import Modes


@dataclass(frozen=True)
class Options:
    """What the configuration says about the data set's content; each source uses the part it understands."""

    name: str
    root: Path
    num_classes: int | None = None
    size: int | Sequence[int] | None = None
    channels: int | None = None
    variant: str | None = None
    split_seed: int = 0
    skip_bad: bool = False


class Source(ABC):
    """One data set, one class.

    Class attributes:
        title: how messages call it.
        levels: values of a pixel as stored (256 for bytes), None for real vectors.
        own_validation: whether the set comes with a validation part; else one is held out of "train".
        accepts: the options beyond `root` that change what is read.
    """

    title: ClassVar[str]
    levels: ClassVar[int | None] = 256
    own_validation: ClassVar[bool] = False
    accepts: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, options: Options) -> None:
        self.options = options
        self.root = options.root

    @property
    def modes(self) -> Modes | None:
        """Of the density that the examples are drawn from, where it is a mixture whose modes can be counted."""
        return None

    @abstractmethod
    def read(self, part: str) -> Examples:
        """The examples of the part "train", "test" or, with `own_validation`, "validation".

        Raises:
            UserError: a file is missing or damaged.
        """

    def download(self) -> None:  # noqa: B027  # most sets of files cannot be fetched, and then `read` says how to get them
        """Get whatever is not there yet, where that is possible."""
