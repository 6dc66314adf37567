"""WGAN-GP's residual networks: Improved Training of Wasserstein GANs (Gulrajani et al., NeurIPS 2017)."""

from collections.abc import Sequence

from genmodels.models.data_checks import image_shape
from genmodels.models.gans.adversarial_model import AdversarialModel
from genmodels.models.gans.resnet_nets import (
    ResNetDiscriminator,
    ResNetGenerator,
    halvings_of_critic,
    initialize_xavier,
)
from genmodels.models.scales import doublings_for
from genmodels.networks.spectral import normalize_spectrally
from genmodels.ranges import at_least


class WGANGPResNet(AdversarialModel):
    """Residual networks of 128 channels: batch norm in the generator, none in the critic, whose map is averaged.

    Appendix F and the official code (`gan_cifar_resnet.py`) without its classes; 1,204,483 and 1,053,825 parameters on
    3x32x32. The critic sees dequantised pixels.

    Deviation: for other sizes the number of blocks follows the sides, with one width for all.

    Args:
        shape: (C, H, W).
        levels: number of pixel values.
        width: channels of all maps of both.
        num_latents: Z.
        num_scales: doublings of the generator; the critic halves once less. None for a smallest map of 4x4 or little
            more, fewer where the sides cannot be halved so often.
        spectral_norm: of the critic's layers.
    Raises:
        UserError: a size is out of its range, the sides cannot be halved so often, or the data is not made of images.
    """

    takes = frozenset(("images",))

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        width: int = 128,
        num_latents: int = 128,
        num_scales: int | None = None,
        spectral_norm: bool = False,
    ) -> None:
        at_least(1, width=width, num_latents=num_latents, num_scales=num_scales)
        image_shape("wgan_gp_resnet", shape)
        scales = doublings_for("wgan_gp_resnet", shape, num_scales)
        generator = ResNetGenerator(num_latents, shape, width, scales)
        discriminator = ResNetDiscriminator(shape, width, halvings_of_critic(scales), pool="mean")
        initialize_xavier(generator, discriminator)
        if spectral_norm:
            normalize_spectrally(discriminator)
        super().__init__(generator, discriminator, shape, levels, num_latents, dequantize=True)
        self.chosen = {"num_scales": scales} if num_scales is None else {}
