"""The networks of CycleGAN: a residual generator and a critic of patches (Zhu et al. 2017, Appendix, Section 7.2)."""

from torch import Tensor, nn

from genmodels.networks.layout import fast_layout


class ResidualTranslator(nn.Sequential):
    """c7s1-w, d2w, d4w, residual blocks of 4w, u2w, uw, c7s1-C in the paper's notation, w the width; tanh in the end.

    Instance norm without gains and ReLU after every convolution but the last; borders are reflected but where the
    image is halved or doubled, as in the official torch code. Shapes: [B, C, H, W] -> the same, from -1 to 1.
    """

    def __init__(self, channels: int, width: int, num_blocks: int) -> None:
        super().__init__(
            *_convolved(channels, width, 7),
            *_normed(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)),
            *_normed(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1)),
            *(_Residual(4 * width) for _ in range(num_blocks)),
            *_normed(nn.ConvTranspose2d(4 * width, 2 * width, 3, stride=2, padding=1, output_padding=1)),
            *_normed(nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1)),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, channels, 7),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(fast_layout(x))


class PatchCritic(nn.Sequential):
    """Scores of overlapping patches, of 70x70 pixels with three layers: C64-C128-C256-C512 in the paper's notation.

    4x4 kernels; `num_layers` of stride 2, then one of stride 1 and the scores. Leaky ReLU (0.2), and instance norm in
    between but after the first. Shapes: [B, C, H, W] -> [B, 1, H', W'].
    """

    def __init__(self, channels: int, width: int, num_layers: int) -> None:
        widths = [width * min(2**index, 8) for index in range(num_layers + 1)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for index in range(1, num_layers + 1):
            stride = 2 if index < num_layers else 1
            layers.append(nn.Conv2d(widths[index - 1], widths[index], 4, stride=stride, padding=1))
            layers += [nn.InstanceNorm2d(widths[index]), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(fast_layout(x))


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        *first, _ = _convolved(width, width, 3)
        self.layers = nn.Sequential(*_convolved(width, width, 3), *first)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def _convolved(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(kernel // 2), *_normed(nn.Conv2d(inputs, outputs, kernel))]


def _normed(conv: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [conv, nn.InstanceNorm2d(conv.out_channels), nn.ReLU(inplace=True)]
