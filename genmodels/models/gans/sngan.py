"""SN-GAN: Spectral Normalization for Generative Adversarial Networks (Miyato et al., ICLR 2018), its residual networks.

With classes cGAN-PD: cGANs with Projection Discriminator (Miyato & Koyama, ICLR 2018).
"""

from collections.abc import Callable, Sequence

from torch import nn

from genmodels.models.data_checks import conditional_classes, image_shape
from genmodels.models.gans.adversarial_model import AdversarialModel
from genmodels.models.gans.resnet_nets import (
    ResNetDiscriminator,
    ResNetGenerator,
    halvings_of_critic,
    initialize_xavier,
)
from genmodels.models.scales import doublings_for
from genmodels.networks.conditional_batch_norm import ConditionalBatchNorm2d
from genmodels.networks.spectral import normalize_spectrally
from genmodels.ranges import at_least


class SNGAN(AdversarialModel):
    """Residual networks with batch norm in the generator and spectral norm in the critic, whose last map is summed.

    Appendix B.4 (Table 4) and the official code's `resnet_32` and `snresnet_32`: on 3x32x32 4,276,739 and 1,053,825
    parameters. With classes each has gains and biases of its own in the generator's blocks (not in its last batch
    norm), and the critic's score is a projection. The critic sees dequantised pixels.

    Deviations: the critic's last layer has a bias, as in later code, where the official one has none; batch norm adds
    1e-5 to variances, where Chainer adds 2e-5; for other sizes the number of blocks follows the sides, with one width
    for all, where the paper's 64x64 and 128x128 nets grow wider below.

    Args:
        shape: (C, H, W).
        levels: number of pixel values.
        width: channels of the generator's maps.
        critic_width: channels of the critic's maps.
        num_latents: Z.
        num_scales: doublings of the generator; the critic halves once less. None for a smallest map of 4x4 or little
            more, fewer where the sides cannot be halved so often.
        spectral_norm: of the critic's layers, that of the projection among them.
        conditional: both see the class.
        num_classes: of the data.
    Raises:
        UserError: a size is out of its range, the sides cannot be halved so often, the data is not made of images, or
            there are no classes to condition on.
    """

    takes = frozenset(("images",))

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        width: int = 256,
        critic_width: int = 128,
        num_latents: int = 128,
        num_scales: int | None = None,
        spectral_norm: bool = True,
        conditional: bool = False,
        num_classes: int | None = None,
    ) -> None:
        at_least(1, width=width, critic_width=critic_width, num_latents=num_latents, num_scales=num_scales)
        image_shape("sngan", shape)
        scales = doublings_for("sngan", shape, num_scales)
        classes = conditional_classes(conditional, num_classes)
        norm = _norm_of_classes(classes) if classes else nn.BatchNorm2d
        generator = ResNetGenerator(num_latents, shape, width, scales, norm, conditional)
        discriminator = ResNetDiscriminator(shape, critic_width, halvings_of_critic(scales), "sum", classes)
        initialize_xavier(generator, discriminator)
        if discriminator.embedding is not None:
            nn.init.xavier_uniform_(discriminator.embedding.weight)
        if spectral_norm:
            normalize_spectrally(discriminator)
        super().__init__(
            generator, discriminator, shape, levels, num_latents, conditional, num_classes, dequantize=True
        )
        self.chosen = {"num_scales": scales} if num_scales is None else {}


def _norm_of_classes(num_classes: int) -> Callable[[int], nn.Module]:
    """Batch norms whose gain and bias are the class's own, at first 1 and 0."""

    def norm(channels: int) -> nn.Module:
        gain, bias = (nn.Embedding(num_classes, channels) for _ in range(2))
        nn.init.zeros_(gain.weight)
        nn.init.zeros_(bias.weight)
        return ConditionalBatchNorm2d(channels, gain, bias)

    return norm
