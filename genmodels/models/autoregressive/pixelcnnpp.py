"""PixelCNN++ (Salimans, Karpathy, Chen & Kingma, ICLR 2017, arXiv:1701.05517)."""

from collections.abc import Sequence

from torch import Tensor

from genmodels.distributions import PixelLikelihood
from genmodels.errors import UserError
from genmodels.models.autoregressive.autoregressive_model import AutoregressiveModel, Decoder, check_joint_colours
from genmodels.models.autoregressive.pixelcnnpp_net import PixelCNNPPNet
from genmodels.models.data_checks import conditional_classes
from genmodels.networks.layout import fast_layout
from genmodels.ranges import at_least, fractions


class PixelCNNPP(AutoregressiveModel):
    """Whole pixels, all colours at once, from two streams of gated blocks at three scales with short-cuts between them.

    Wired as the official code, see `PixelCNNPPNet`: with 10 components on 3x32x32 it has 53,659,080 parameters, as
    many as that code at its default width of 160, and 77,244,104 at the 192 that the paper names. Weights are
    normalised and initialised from data.

    Deviation: the statistics that initialise a transposed convolution are those of what it gives, not of a border that
    is cut off as well.

    Args:
        shape: (C, H, W).
        likelihood: the paper's is `LogisticMixture`; any for images of one colour.
        num_resnets: gated blocks in a row, 5 in the paper.
        width: channels of the blocks.
        dropout: probability, in the blocks, while training.
        conditional: on the class, by a shift in every block.
        num_classes: of the data.
        num_halvings: smaller scales; None for the paper's 2, or as many as the sides can be halved.
    Raises:
        UserError: sides that cannot be halved so often, a likelihood that leaves the colours to the network, no classes
            to condition on, or a number out of its range.
    """

    def __init__(
        self,
        shape: Sequence[int],
        likelihood: PixelLikelihood,
        num_resnets: int = 5,
        width: int = 160,
        dropout: float = 0.5,
        conditional: bool = False,
        num_classes: int | None = None,
        num_halvings: int | None = None,
    ) -> None:
        at_least(1, num_resnets=num_resnets, width=width)
        at_least(0, num_halvings=num_halvings)
        fractions(dropout=dropout)
        channels, *size = shape
        halvings = _halvings_that_fit(size) if num_halvings is None else num_halvings
        if any(n % 2**halvings for n in size):
            raise UserError(
                f"images of {size[0]}x{size[1]} cannot be halved model.num_halvings={halvings} times: set it to "
                f"{_halvings_that_fit(size)}, or leave it to the data by null."
            )
        check_joint_colours(likelihood, "PixelCNN++")
        super().__init__(shape, likelihood, conditional_classes(conditional, num_classes))
        outputs = likelihood.num_params
        self.net = PixelCNNPPNet(channels, outputs, width, num_resnets, dropout, self.num_classes, halvings)
        self.chosen = {"num_halvings": halvings} if num_halvings is None else {}

    def conditionals(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net(fast_layout(self._scaled(x)), self._one_hot(y))

    def decoder(self, batch: int, y: Tensor | None = None) -> Decoder:
        step = self.net.stepper(self.shape[2], self._one_hot(y))

        def decode(x: Tensor, row: int, column: int) -> Tensor:
            return step(self._scaled(x), row, column).squeeze(3)

        return decode


def _halvings_that_fit(size: Sequence[int]) -> int:
    """As many as the official code's, 2, or fewer."""
    return max(halvings for halvings in range(3) if all(n % 2**halvings == 0 for n in size))
