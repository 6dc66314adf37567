"""CycleGAN: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu et al., ICCV 2017)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.models.data_checks import image_shape
from genmodels.models.gans.cyclegan_networks import PatchCritic, ResidualTranslator
from genmodels.models.model import Model
from genmodels.ranges import at_least

_MOST_CRITIC_LAYERS = 3  # the paper's: patches of 70x70


class CycleGAN(Model):
    """Two generators between two domains, G: X -> Y and F: Y -> X, and a critic of each domain.

    The domains are two classes of the data: examples of others are not looked at. Networks as in the official torch
    code, weights from N(0, 0.02). There is nothing random in it, so it translates and does not sample.

    Deviation: images smaller than 24x24 have critics of fewer layers.

    Args:
        shape: (C, H, W), of sides that 4 divides.
        levels: number of pixel values.
        num_classes: of the data.
        domains: the classes X and Y.
        width: channels of the generators at full size; four times as many in the residual blocks.
        num_blocks: residual blocks; the paper has 6 for 128x128 images, 9 for larger ones.
        critic_width: channels of the critics at half of the size.
        critic_layers: halvings of the critics; None: the paper's 3, fewer where images are smaller than 24x24.
    Raises:
        UserError: a size is out of its range, the data has no such classes, or the images are too small, of odd sides,
            or none.
    """

    takes = frozenset(("images",))

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        num_classes: int | None,
        domains: Sequence[int] = (0, 1),
        width: int = 64,
        num_blocks: int = 9,
        critic_width: int = 64,
        critic_layers: int | None = None,
    ) -> None:
        super().__init__()
        at_least(1, width=width, num_blocks=num_blocks, critic_width=critic_width, critic_layers=critic_layers)
        channels, *sides = image_shape("cyclegan", shape)
        self.shape, self.levels, self._half = tuple(shape), levels, (levels - 1) / 2
        layers = _critic_layers(sides, critic_layers)
        self.domains = _two_classes(domains, num_classes)
        self.chosen = {"critic_layers": layers} if critic_layers is None else {}
        self.generators = nn.ModuleList(ResidualTranslator(channels, width, num_blocks) for _ in self.domains)
        self.discriminators = nn.ModuleList(PatchCritic(channels, critic_width, layers) for _ in self.domains)
        self.apply(_initialize)

    def floats(self, x: Tensor) -> Tensor:
        """Images as the networks see them: pixels from -1 to 1. Shapes: [B, *shape] -> the same."""
        return x.to(self._dtype) / self._half - 1

    @torch.no_grad()
    def translate(self, x: Tensor, to: int) -> Tensor:
        """Images of one domain as ones of the other, which is number `to`. Shapes: [B, *shape] -> the same, uint8."""
        v = (self.generators[to](self.floats(x)) + 1) * self._half
        return v.round().to(torch.uint8)

    def averaged_modules(self) -> list[nn.Module]:
        return [self.generators]


def _two_classes(domains: Sequence[int], num_classes: int | None) -> tuple[int, int]:
    if not num_classes or num_classes < 2:
        raise UserError(
            "model=cyclegan translates between two classes of the data, and data.num_classes is "
            f"{num_classes or 'null'}: choose data with labels, such as data=image_folder data.num_classes=2"
        )
    if len(domains) != 2 or domains[0] == domains[1] or not all(0 <= label < num_classes for label in domains):
        raise UserError(f"model.domains must be two different classes of 0 .. {num_classes - 1}, got {list(domains)}")
    return domains[0], domains[1]


def _critic_layers(sides: Sequence[int], asked: int | None) -> int:
    """As many as are asked for, or fit: the last convolution but one has to leave more than one pixel.

    Raises:
        UserError: they do not fit, or 4 does not divide the sides, which the generators halve twice.
    """
    height, width = sides
    if height % 4 or width % 4 or min(sides) < 8:
        raise UserError(f"model=cyclegan needs images of sides that 4 divides, of 8 at least, not {height}x{width}")
    most = max(n for n in range(1, 16) if min(sides) // 2**n >= 3)
    if asked is not None and asked > most:
        raise UserError(f"model.critic_layers={asked} does not fit {height}x{width} images: take {most} or less")
    return asked or min(most, _MOST_CRITIC_LAYERS)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
