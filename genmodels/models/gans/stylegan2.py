"""StyleGAN2: Analyzing and Improving the Image Quality of StyleGAN (Karras et al., CVPR 2020, arXiv:1912.04958)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.models.data_checks import conditional_classes, image_shape
from genmodels.models.gans.adversarial_model import AdversarialModel
from genmodels.models.gans.stylegan2_networks import StyleCritic, StyleGenerator
from genmodels.ranges import at_least, between

_BOTTOM = 4  # smallest side


class StyleGAN2(AdversarialModel):
    """A perceptron turns z into a style w, which scales the channels of every convolution of the generator.

    The networks are those of the official ADA code's configuration for CIFAR-10 (Karras et al. 2020b, Appendix D):
    the generator sums images of all resolutions, the critic is a plain stack without residuals. With classes, the
    mapping network sees an embedding of the label and the critic's score is a projection on one. Each convolution adds
    random noise: `sample` and training draw it, `decode` has it fixed.

    Images are halved down to 4x4, or to what is odd before (28x28: 7x7). Deviations: no half precision, and so no
    clamping of what the convolutions give; where the minibatch group does not divide the batch it is smaller.

    Args:
        shape: (C, H, W), square, of sides that halve to between 4 and 7.
        levels: number of pixel values.
        channel_base, channel_max: images of side s have min(channel_base // s, channel_max) channels.
        num_latents, num_styles: lengths of z and of w.
        mapping_layers: of the mapping network; the paper's own has 8.
        critic_mapping_layers: of the critic's, which embeds classes.
        minibatch_group: images over which the critic takes a standard deviation.
        mixing: share of the training batches in which the styles above a random layer are those of other latents
            (Karras et al. 2019, Section 3.1).
        average_decay: of the moving average of w.
        conditional: both see the label.
        num_classes: of the data.
    Raises:
        UserError: a size is out of its range, there are no classes to condition on, or the images are not square, of
            sides that cannot be halved to that, or no images.
    """

    takes = frozenset(("images",))
    generator: StyleGenerator

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        channel_base: int = 32768,
        channel_max: int = 512,
        num_latents: int = 512,
        num_styles: int = 512,
        mapping_layers: int = 2,
        critic_mapping_layers: int = 8,
        minibatch_group: int = 32,
        mixing: float = 0.0,
        average_decay: float = 0.995,
        conditional: bool = False,
        num_classes: int | None = None,
    ) -> None:
        at_least(1, channel_base=channel_base, channel_max=channel_max, num_styles=num_styles)
        at_least(1, mapping_layers=mapping_layers, critic_mapping_layers=critic_mapping_layers)
        at_least(1, num_latents=num_latents, minibatch_group=minibatch_group)
        between(0, 1, average_decay=average_decay)
        if not 0 <= mixing <= 1:
            raise UserError(f"model.mixing must lie in [0, 1], got {mixing}")
        channels, height, width = image_shape("stylegan2", shape)
        classes = conditional_classes(conditional, num_classes)
        sides = _sides(height, width)
        widths = [max(1, min(channel_base // side, channel_max)) for side in sides]
        generator = StyleGenerator(
            channels, sides, widths, num_latents, num_styles, mapping_layers, classes, mixing, average_decay
        )
        discriminator = StyleCritic(channels, sides, widths, classes, critic_mapping_layers, minibatch_group)
        super().__init__(
            generator, discriminator, shape, levels, num_latents, conditional, num_classes, statistics="running"
        )

    @property
    def mixes_batch(self) -> bool:
        """It does: the critic sees how much the images of a batch differ."""
        return True

    def styles(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """w of every layer, with gradient. Shapes: z [B, Z], y [B] -> [B, L, W]."""
        return self.generator.styles(z, self._labels(y))

    def synthesize(self, w: Tensor) -> Tensor:
        """The image of styles, with gradient and random noise. Shapes: [B, L, W] -> floats [B, C, H, W]."""
        return self.generator.synthesize(w)

    @torch.no_grad()
    def sample(
        self, n: int, y: Tensor | None = None, temperature: float = 1.0, *, truncation: float | None = None
    ) -> Tensor:
        """`n` draws, uint8 [n, C, H, W]; of a class-conditional model without labels, of classes drawn uniformly.

        Args:
            temperature: 1; others would change nothing, for z is normalised.
            truncation: psi, in place of w the point mean + psi (w - mean), mean the average over training (Karras et
                al. 2019, Appendix B): 0 draws the mean image. Another convention than that of other models here,
                which draw numbers of z again.
        Raises:
            UserError: another temperature is asked for.
        """
        if temperature != 1:
            raise UserError(f"temperature={temperature:g} changes nothing in StyleGAN2, which normalises z: leave it 1")
        if self.num_classes and y is None:
            y = torch.randint(self.num_classes, (n,), device=self.generator.average.device)
        w = self.styles(self.latents(n), y)
        if truncation is not None:
            at_least(0, under="", truncation=truncation)
            w = self.generator.average.lerp(w, truncation)
        return self._as_data(self.synthesize(w))

    @torch.no_grad()
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The images of latents, noise fixed. Shapes: z [B, Z], y [B] -> uint8 [B, C, H, W]."""
        return self._as_data(self.generator.synthesize(self.styles(z, y), noise="fixed"))


def _sides(height: int, width: int) -> list[int]:
    """Of the image at every resolution, from the bottom.

    Raises:
        UserError: it is not square, or not halved to between 4 and 7.
    """
    if height != width:
        raise UserError(f"model=stylegan2 needs square images, and these are {height}x{width}")
    sides = [height]
    while sides[0] % 2 == 0 and sides[0] >= 2 * _BOTTOM:
        sides.insert(0, sides[0] // 2)
    if not _BOTTOM <= sides[0] < 2 * _BOTTOM:
        raise UserError(
            f"model=stylegan2 halves images to sides of 4 to 7, and {height}x{width} stops at {sides[0]}x{sides[0]}: "
            "choose a size such as 28, 32 or 64"
        )
    return sides
