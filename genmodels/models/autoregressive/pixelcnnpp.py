"""PixelCNN++ (Salimans, Karpathy, Chen & Kingma, ICLR 2017, arXiv:1701.05517)."""

from collections.abc import Sequence

from torch import Tensor

from genmodels.distributions import PixelLikelihood
from genmodels.errors import UserError
from genmodels.models.autoregressive.autoregressive_model import AutoregressiveModel, Decoder, check_joint_colours
from genmodels.models.autoregressive.pixelcnnpp_net import NUM_HALVINGS, PixelCNNPPNet
from genmodels.models.flows.flow import conditional_classes
from genmodels.networks.layout import fast_layout


class PixelCNNPP(AutoregressiveModel):
    """Whole pixels, all colours at once, from two streams of gated blocks at three scales with short-cuts between them.

    Wired as the official code, see `PixelCNNPPNet`: with 10 components on 3x32x32 it has 53,659,080 parameters, as
    many as that code at its default width of 160, and 77,244,104 at the 192 that the paper names. Weights are
    normalised and initialised from data.

    Deviation: the statistics that initialise a transposed convolution are those of what it gives, not of a border that
    is cut off as well.

    Args:
        shape: (C, H, W), H and W divisible by 4.
        likelihood: the paper's is `LogisticMixture`; any for images of one colour.
        num_resnets: gated blocks in a row, 5 in the paper.
        width: channels of the blocks.
        dropout: probability, in the blocks, while training.
        conditional: on the class, by a shift in every block.
        num_classes: of the data.
    Raises:
        UserError: a size that does not divide by 4, a likelihood that leaves the colours to the network, no classes to
            condition on, or a number out of range.
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
    ) -> None:
        channels, *size = shape
        if any(n % 2**NUM_HALVINGS for n in size):
            raise UserError(
                f"model=pixelcnnpp halves images twice, and data.shape={list(shape)} does not divide by 4; choose "
                "data whose height and width do, by data.size where the data has it."
            )
        check_joint_colours(likelihood, "PixelCNN++")
        if min(num_resnets, width) < 1 or not 0 <= dropout < 1:
            raise UserError(
                "model.num_resnets and model.width must be at least 1 and model.dropout lie in [0, 1), but they are "
                f"{num_resnets}, {width} and {dropout}."
            )
        super().__init__(shape, likelihood, conditional_classes(conditional, num_classes))
        self.net = PixelCNNPPNet(channels, likelihood.num_params, width, num_resnets, dropout, self.num_classes)

    def conditionals(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net(fast_layout(self._scaled(x)), self._one_hot(y))

    def decoder(self, batch: int, y: Tensor | None = None) -> Decoder:
        step = self.net.stepper(self.shape[2], self._one_hot(y))

        def decode(x: Tensor, row: int, column: int) -> Tensor:
            return step(self._scaled(x), row, column).squeeze(3)

        return decode
