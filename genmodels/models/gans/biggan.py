"""BigGAN: Large Scale GAN Training for High Fidelity Natural Image Synthesis (Brock, Donahue & Simonyan, ICLR 2019)."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.models.data_checks import conditional_classes, image_shape
from genmodels.models.gans.adversarial_model import AdversarialModel
from genmodels.models.gans.resnet_nets import ResNetDiscriminator, ResNetGenerator, halvings_of_critic
from genmodels.models.scales import doublings_for
from genmodels.networks.conditional_batch_norm import ConditionalBatchNorm2d
from genmodels.networks.self_attention import SelfAttention2d
from genmodels.networks.spectral import normalize_spectrally
from genmodels.ranges import at_least


class BigGAN(AdversarialModel):
    """SN-GAN's networks, wider, class-conditional, with spectral norm in the generator too.

    As the official code (ajbrock/BigGAN-PyTorch) has them for CIFAR-10: width 256 is its ch = 64, with 4,304,387 and
    4,207,361 parameters on 3x32x32; width 384 is ch = 96, with 9,258,243 and 9,456,769. The paper's own additions for
    ImageNet are choices here:

    - `shared_embedding`: all batch norms take gain and bias by matrices from one embedding of the class, where else
      each has a gain and bias for every class (Section 3). The embedding has no spectral norm.
    - `hierarchical`: z is cut into equal parts, the first for the first layer, one beside the embedding for each block.
    - `attention`: both networks attend between the pixels of their maps of this height (Zhang et al. 2019).

    Deviation: for other sizes the number of blocks follows the sides, with one width for all, where the paper's nets
    for 128x128 and more grow wider below. Without labels in the data choose `conditional=False`.

    Args:
        shape: (C, H, W).
        levels: number of pixel values.
        width: channels of all maps of both, 4 ch.
        num_latents: Z; with `hierarchical` a multiple of the number of blocks and one.
        num_scales: doublings of the generator; the critic halves once less. None for a smallest map of 4x4 or little
            more, fewer where the sides cannot be halved so often.
        shared_embedding: its dimension; None for none.
        hierarchical: needs a shared embedding.
        attention: height of the maps; None for none.
        spectral_norm: of the critic's layers, that of the projection among them.
        generator_spectral_norm: of the generator's convolutions and matrices.
        initialization: of all weights, N(0, 0.02) or orthogonal.
        conditional: both see the class, the critic by a projection.
        num_classes: of the data.
    Raises:
        UserError: a size is out of its range, the sides cannot be halved so often, the data is not made of images,
            there are no classes to condition on, or choices do not go together.
    """

    takes = frozenset(("images",))

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        width: int = 256,
        num_latents: int = 128,
        num_scales: int | None = None,
        shared_embedding: int | None = None,
        hierarchical: bool = False,
        attention: int | None = None,
        spectral_norm: bool = True,
        generator_spectral_norm: bool = True,
        initialization: Literal["normal", "orthogonal"] = "normal",
        conditional: bool = True,
        num_classes: int | None = None,
    ) -> None:
        at_least(1, num_latents=num_latents, num_scales=num_scales, attention=attention)
        at_least(1 if attention is None else 8, width=width)
        at_least(1, shared_embedding=shared_embedding)
        image_shape("biggan", shape)
        scales = doublings_for("biggan", shape, num_scales)
        classes = conditional_classes(conditional, num_classes)
        if shared_embedding is not None and not conditional:
            raise UserError("model.shared_embedding is one of classes and needs model.conditional=true.")
        if hierarchical and shared_embedding is None:
            raise UserError("model.hierarchical=true needs model.shared_embedding=128 or another dimension.")
        if hierarchical and num_latents % (scales + 1):
            fitting = -(-num_latents // (scales + 1)) * (scales + 1)
            raise UserError(
                f"model.num_latents={num_latents} cannot be cut into {scales + 1} parts for model.hierarchical=true: "
                f"take {fitting}."
            )
        generator = _Generator(num_latents, shape, width, scales, classes, shared_embedding, hierarchical)
        discriminator = ResNetDiscriminator(shape, width, halvings_of_critic(scales), "sum", classes)
        if attention is not None:
            _attend(generator, discriminator, shape[1], attention, width)
        _initialize(generator, discriminator, nn.init.orthogonal_ if initialization == "orthogonal" else _normal)
        if generator_spectral_norm:
            normalize_spectrally(generator, (nn.Conv2d, nn.Linear))
        if spectral_norm:
            normalize_spectrally(discriminator)
        super().__init__(generator, discriminator, shape, levels, num_latents, conditional, num_classes)
        self.chosen = {"num_scales": scales} if num_scales is None else {}


class _Generator(ResNetGenerator):
    """Shapes: z [B, Z], y [B] -> [B, *shape] from -1 to 1."""

    def __init__(
        self,
        num_latents: int,
        shape: Sequence[int],
        width: int,
        num_scales: int,
        num_classes: int,
        shared_dimension: int | None,
        hierarchical: bool,
    ) -> None:
        part = num_latents // (num_scales + 1) if hierarchical else 0

        def norm(channels: int) -> nn.Module:
            if not num_classes:
                return nn.BatchNorm2d(channels)
            if shared_dimension is None:
                return ConditionalBatchNorm2d(channels, *(nn.Embedding(num_classes, channels) for _ in range(2)))
            matrices = (nn.Linear(shared_dimension + part, channels, bias=False) for _ in range(2))
            return ConditionalBatchNorm2d(channels, *matrices)

        super().__init__(part or num_latents, shape, width, num_scales, norm, bool(num_classes))
        self.part = part
        self.shared = nn.Embedding(num_classes, shared_dimension) if shared_dimension else nn.Identity()

    def inputs(self, z: Tensor, y: Tensor | None) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
        first, conditions = super().inputs(z, y)
        if not self.conditional:
            return first, conditions
        shared = self.shared(y)
        if not self.part:
            return first, [(shared,)] * len(self.blocks)
        first, *others = z.split(self.part, dim=1)
        return first, [(torch.cat((shared, other), dim=1),) for other in others]


class _Attended(nn.Module):
    """A block of either network, and attention over what comes out of it."""

    def __init__(self, block: nn.Module, width: int) -> None:
        super().__init__()
        self.block = block
        self.attention = SelfAttention2d(width)

    def forward(self, x: Tensor, *condition: Tensor) -> Tensor:
        return self.attention(self.block(x, *condition))


def _attend(
    generator: ResNetGenerator, discriminator: ResNetDiscriminator, height: int, chosen: int, width: int
) -> None:
    """Put attention behind the first block of each network whose maps are `chosen` high."""
    doubled = [generator.smallest[1] * 2 ** (i + 1) for i in range(len(generator.blocks))]
    halved = [height // 2 ** (i + 1) for i in range(len(discriminator.blocks) - 2)]
    if chosen not in doubled or chosen not in halved:
        both = [side for side in doubled if side in halved]
        remedy = f"take one of {', '.join(map(str, both))}" if both else "leave it at null"
        raise UserError(f"model.attention={chosen} is no height at which both networks of biggan have maps: {remedy}.")
    for blocks, heights in ((generator.blocks, doubled), (discriminator.blocks, halved)):
        index = heights.index(chosen)
        blocks[index] = _Attended(blocks[index], width)


def _normal(weight: Tensor) -> None:
    nn.init.normal_(weight, 0.0, 0.02)


def _initialize(generator: nn.Module, discriminator: nn.Module, initialize: Callable[[Tensor], object]) -> None:
    for part in (*generator.modules(), *discriminator.modules()):
        if isinstance(part, nn.Conv2d | nn.Linear | nn.Embedding):
            initialize(part.weight)
