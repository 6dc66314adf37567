"""i-RevNet: Deep Invertible Networks (Jacobsen, Smeulders & Oyallon, ICLR 2018, arXiv:1802.07088)."""

import math
from collections.abc import Sequence

from torch import Tensor

from genmodels.bijections import Additive, Bijection, Compose, Coupling, Flattened, Scale, Shift, Squeezed, squeeze
from genmodels.distributions import Dequantization
from genmodels.errors import UserError
from genmodels.models.data_checks import image_shape
from genmodels.models.flows.flow import Flow
from genmodels.models.flows.irevnet_net import IRevNetNet
from genmodels.models.scales import scales_for
from genmodels.ranges import at_least, fractions

FIRST_ORDER = "space_to_depth"  # of the first squeeze; its halves are even and odd rows


class IRevNet(Flow):
    """The bijective i-RevNet as a density: its volume-preserving body, then one learned scale for each dimension.

        z = exp(s) body(x - 1/2),   log|det| = sum s,   z ~ N(0, I)

    i-RevNet is a classifier, and its paper has no likelihoods: this density is ours, of NICE's kind (additive couplings
    and `Scale`), with i-RevNet's body, `irevnet_body`, in the place of NICE's MLPs. As a classifier the body stands in
    `experiments/irevnet_classifier.py`.

    The paper's classifiers of ImageNet (its table, read second-hand), top-1 error in % and parameters: ResNet 24.7,
    26M; RevNet 25.2, 28M; i-RevNet (a), injective, 24.7, 181M; i-RevNet (b), bijective, 26.7, 29M. The defaults are
    (b)'s: body and classifier of 1000 classes have 29,201,092 parameters on 3x224x224. The code released later has
    kernel_sizes=[3, 3, 3], 125,120,356 parameters and, as it says, an error of 26.0. Variant (a) pads the input with
    empty channels, so that no density of pixels comes of it, and is absent.

    Args:
        shape: (C, H, W) of even sides.
        levels: number of pixel values, x in 0 .. levels - 1.
        num_blocks: of each stage.
        strides: of each stage, 1 or 2; None for 2 as in (b), then 1 where sides cannot be halved any more.
        width: hidden channels of every block; None for a quarter of those of a half, as in the paper.
        kernel_sizes: of a block's three convolutions, odd.
        dropout: in each block; 0.1 in the official code for CIFAR.
        dequantization: of the pixels; uniform unless given.
        reversible: recompute activations in the backward pass instead of keeping them, see `Flow`.
    Raises:
        UserError: a number out of its range, other than three odd kernel sizes, or strides that are not one for each
            stage or do not fit the shape.
    """

    takes = frozenset(("images",))

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        num_blocks: Sequence[int] = (6, 16, 72, 6),
        strides: Sequence[int] | None = None,
        width: int | None = None,
        kernel_sizes: Sequence[int] = (1, 3, 1),
        dropout: float = 0.0,
        dequantization: Dequantization | None = None,
        reversible: bool = False,
    ) -> None:
        at_least(1, num_blocks=num_blocks, strides=strides, width=width, kernel_sizes=kernel_sizes)
        fractions(dropout=dropout)
        if not num_blocks:
            raise UserError("model.num_blocks=[] must name one stage or more.")
        if len(kernel_sizes) != 3 or not all(size % 2 for size in kernel_sizes):
            raise UserError(f"model.kernel_sizes={list(kernel_sizes)} must be three odd numbers.")
        image = image_shape("irevnet", shape)
        settled = settle_strides(image, len(num_blocks), strides)
        body = irevnet_body(image[0], num_blocks, settled, width, kernel_sizes, dropout)
        scale = Flattened(Scale(math.prod(image)), image)
        bijection = Compose([Shift(-0.5), body, scale])
        super().__init__(bijection, shape, levels, dequantization=dequantization, reversible=reversible)
        self.chosen = {"strides": settled} if strides is None else {}


def irevnet_body(
    channels: int,
    num_blocks: Sequence[int],
    strides: Sequence[int],
    width: int | None = None,
    kernel_sizes: Sequence[int] = (1, 3, 1),
    dropout: float = 0.0,
) -> Bijection:
    """All of i-RevNet before its last projection: a squeeze, then stages of additive couplings; log|det| = 0.

        block:             y1 = x1 + F(x2),   then the halves trade places           (Section 3.1, Figure 1)
        with stride 2:     y1 = S x1 + F(x2), and the other half is S x2; S squeezes a half

    A stage's stride is its first block's, there its first convolution's. F is `IRevNetNet`. What comes out is laid out
    as an image; `features` undoes this. Follows the official code's bijective variant (`init_ds=2`), but for the
    kernels of the paper's (1x1, 3x3, 1x1).

    Deviations: which half a block changes takes turns instead of the halves trading places, and the squeezes after the
    first keep the four pixels of a channel together: the same functions up to the order of channels.

    Args:
        channels: of the images.
        num_blocks, strides: of each stage.
        width: hidden channels of every block; None for a quarter of those of a half.
        kernel_sizes, dropout: of each block.
    Shapes: x, z [B, channels, H, W], H and W divisible by 2 to the number of squeezes.
    """

    def stages(half: int, stage: int, built: int) -> list[Bijection]:
        """From `stage` on, after `built` blocks and with halves of `half` channels."""
        if stage == len(num_blocks):
            return []
        out = half * strides[stage] ** 2
        hidden = max(1, out // 4) if width is None else width
        steps: list[Bijection] = []
        for block in range(num_blocks[stage]):
            squeezed = strides[stage] == 2 and block == 0
            ins, first = (half if squeezed else out), built + block == 0
            net = IRevNetNet(ins, hidden, out, kernel_sizes, squeezed=squeezed, first=first, dropout=dropout)
            steps.append(Coupling(net, Additive(), swap=(built + block) % 2 == 0))
        steps += stages(out, stage + 1, built + num_blocks[stage])
        return [Squeezed(Compose(steps))] if strides[stage] == 2 else steps

    return Squeezed(Compose(stages(2 * channels, 0, 0)), FIRST_ORDER)


def features(z: Tensor, strides: Sequence[int]) -> Tensor:
    """What `irevnet_body` computes, in the layout in which its last block leaves it.

    Shapes: z [B, C, H, W] -> [B, 4^n C, H / 2^n, W / 2^n] for n squeezes, one more than strides of 2.
    """
    h = squeeze(z, FIRST_ORDER)
    for _ in range(list(strides).count(2)):
        h = squeeze(h)
    return h


def settle_strides(shape: tuple[int, int, int], num_stages: int, asked: Sequence[int] | None) -> list[int]:
    """One stride for each stage: as asked, or 2 as long as the sides can be halved.

    Raises:
        UserError: not one for each stage, one other than 1 and 2, or sides that cannot be halved so often.
    """
    fitting = scales_for("irevnet", shape, None, 1 + num_stages, last_squeezes=True) - 1
    if asked is None:
        return [2] * fitting + [1] * (num_stages - fitting)
    if len(asked) != num_stages or not set(asked) <= {1, 2}:
        raise UserError(f"model.strides={list(asked)} must be 1 or 2 for each of the {num_stages} of model.num_blocks.")
    if list(asked).count(2) > fitting:
        size = f"{shape[1]}x{shape[2]}"
        raise UserError(f"model.strides={list(asked)} of irevnet does not fit images of {size}: {fitting} may be 2.")
    return list(asked)
