"""StyleGAN2 as in NVlabs/stylegan2-ada-pytorch: resampling, fused modulation, both networks, by their operations."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.models import StyleGAN2
from genmodels.models.gans.stylegan2_layers import doubled, filtered, with_minibatch_deviation
from golden.fixed import filled

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def upfirdn(x: Tensor, padding: tuple[int, int], up: int = 1, down: int = 1, gain: float = 1.0) -> Tensor:
    """`upfirdn2d`: noughts after each pixel, padding, the filter of `setup_filter`, every `down`-th pixel."""
    b, c, h, w = x.shape
    spread = torch.zeros(b, c, h * up, w * up, dtype=x.dtype)
    spread[:, :, ::up, ::up] = x
    kernel = torch.outer(TAPS, TAPS)
    kernel = (kernel / kernel.sum() * gain).expand(c, 1, 4, 4)
    return F.conv2d(F.pad(spread, (*padding, *padding)), kernel, groups=c)[:, :, ::down, ::down]


def lrelu(x: Tensor) -> Tensor:
    """`bias_act` with its default gain."""
    return torch.where(x > 0, x, 0.2 * x) * math.sqrt(2)


def normalize(x: Tensor) -> Tensor:
    return x / (x.pow(2).mean(dim=1, keepdim=True) + 1e-8).sqrt()


class Weights:
    """Parameters by the names of our modules, used as the official layers use theirs."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.of = model.state_dict()

    def dense(self, x: Tensor, name: str, rate: float = 1.0) -> Tensor:
        weight = self.of[f"{name}.weight"]
        return x @ (weight * (rate / math.sqrt(weight.shape[1]))).T + self.of[f"{name}.bias"] * rate

    def mapping(self, name: str, z: Tensor | None, y: Tensor, classes: int, layers: int) -> Tensor:
        embedded = normalize(self.dense(torch.eye(classes, dtype=torch.float64)[y], f"{name}.embedding"))
        x = embedded if z is None else torch.cat([normalize(z), embedded], dim=1)
        for index in range(layers):
            x = lrelu(self.dense(x, f"{name}.layers.{index}", rate=0.01))
        return x

    def modulated(self, x: Tensor, w: Tensor, name: str, up: int = 1, demodulate: bool = True) -> Tensor:
        """`modulated_conv2d`, fused: a convolution of every image by weights of its own."""
        weight = self.of[f"{name}.weight"]
        _, inputs, kernel, _ = weight.shape
        styles = self.dense(w, f"{name}.affine")
        if not demodulate:
            styles = styles / math.sqrt(inputs * kernel**2)
        own = weight[None] * styles[:, None, :, None, None]
        if demodulate:
            own = own * (own.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        rows = []
        for image, kernels in zip(x.split(1), own, strict=True):
            if up == 1:
                rows.append(F.conv2d(image, kernels, padding=kernel // 2))
            else:
                rows.append(upfirdn(F.conv_transpose2d(image, kernels.transpose(0, 1), stride=2), (1, 1), gain=4))
        return torch.cat(rows)

    def layer(self, x: Tensor, w: Tensor, name: str, up: int = 1) -> Tensor:
        x = self.modulated(x, w, f"{name}.conv", up)
        x = x + self.of[f"{name}.fixed"] * self.of[f"{name}.strength"]
        return lrelu(x + self.of[f"{name}.bias"].view(1, -1, 1, 1))

    def conv(self, x: Tensor, name: str, down: int = 1) -> Tensor:
        """`Conv2dLayer`."""
        weight, bias = self.of[f"{name}.weight"], self.of[f"{name}.bias"]
        weight = weight / math.sqrt(weight[0].numel())
        if down == 1:
            return lrelu(F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2))
        return lrelu(F.conv2d(upfirdn(x, (2, 2)), weight, bias, stride=2))


def model() -> StyleGAN2:
    """Channels 10, 10, 5 at 4x4, 8x8 and 16x16."""
    return filled(StyleGAN2((3, 16, 16), 256, 80, 10, 6, 7, critic_mapping_layers=3, conditional=True, num_classes=3))


def latents() -> tuple[Tensor, Tensor]:
    return torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), torch.tensor(
        [0, 2, 1, 1]
    )


def test_the_generator() -> None:
    stylegan, (z, y) = model(), latents()
    weights = Weights(stylegan.generator)
    w = weights.mapping("mapping", z, y, classes=3, layers=2)
    x = weights.of["constant"].repeat(4, 1, 1, 1)
    image = None
    for block in range(3):
        if block:
            x = weights.layer(x, w, f"blocks.{block}.layers.0", up=2)
        x = weights.layer(x, w, f"blocks.{block}.layers.{min(block, 1)}")
        name = f"blocks.{block}.to_pixels"
        pixels = weights.modulated(x, w, f"{name}.conv", demodulate=False) + weights.of[f"{name}.bias"].view(
            1, -1, 1, 1
        )
        image = pixels if image is None else upfirdn(image, (2, 1), up=2, gain=4) + pixels
    styles = stylegan.styles(z, y)
    torch.testing.assert_close(styles, w[:, None].repeat(1, 6, 1), **CLOSE)
    torch.testing.assert_close(stylegan.generator.synthesize(styles, noise="fixed"), image, **CLOSE)


def test_the_style_of_each_layer() -> None:
    """`SynthesisNetwork`: colours of a block have the style of the next block's first convolution."""
    stylegan, (z, y) = model(), latents()
    w = stylegan.styles(z, y).detach()
    uses = []
    for index in range(6):
        changed = w.clone()
        changed[:, index] += 1
        differs = []

        def note(module: torch.nn.Module, inputs: tuple[Tensor, Tensor], differs: list[bool] = differs) -> None:
            differs.append(bool((inputs[1] != w[:, 0]).any()))

        affines = [part for name, part in stylegan.named_modules() if name.endswith("conv") and "generator" in name]
        handles = [part.register_forward_pre_hook(note) for part in affines]
        stylegan.synthesize(changed)
        for handle in handles:
            handle.remove()
        uses.append(differs)
    as_used = [[0], [1], [1], [2], [3], [3], [4], [5]]  # conv, colours; conv, conv, colours; conv, conv, colours
    assert uses == [[[index] == used for used in as_used] for index in range(6)]


def test_the_critic() -> None:
    stylegan, y = model(), torch.tensor([0, 2, 1, 1])
    stylegan.discriminator.group = 2
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weights = Weights(stylegan.discriminator)
    h = weights.conv(x, "from_pixels")
    for block in range(2):
        h = weights.conv(weights.conv(h, f"blocks.{block}.0"), f"blocks.{block}.1", down=2)
    h = weights.conv(minibatch_std(h, 2), "conv")
    h = weights.dense(lrelu(weights.dense(h.flatten(1), "hidden")), "output")
    embedded = weights.mapping("mapping", None, y, classes=3, layers=3)
    expected = (h * embedded).sum(dim=1) / math.sqrt(10)
    torch.testing.assert_close(stylegan.discriminator(x, y), expected, **CLOSE)


def minibatch_std(x: Tensor, group: int) -> Tensor:
    """`MinibatchStdLayer` with one channel."""
    _, c, h, w = x.shape
    y = x.reshape(group, -1, 1, c, h, w)
    y = y - y.mean(dim=0)
    y = (y.square().mean(dim=0) + 1e-8).sqrt().mean(dim=[2, 3, 4]).reshape(-1, 1, 1, 1).repeat(group, 1, h, w)
    return torch.cat([x, y], dim=1)


@pytest.mark.parametrize("group", [1, 2, 3, 6])
def test_the_deviation_of_a_minibatch(group: int) -> None:
    x = torch.randn(6, 2, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(with_minibatch_deviation(x, group), minibatch_std(x, group), **CLOSE)


@pytest.mark.parametrize(("batch", "group"), [(6, 3), (7, 7), (10, 5), (22, 22)])
def test_a_group_that_does_not_divide_the_batch_is_smaller(batch: int, group: int) -> None:
    x = torch.randn(batch, 2, 3, 3, dtype=torch.float64)
    asked = 5 if batch < 22 and batch != 7 else 32
    torch.testing.assert_close(with_minibatch_deviation(x, asked), minibatch_std(x, group), **CLOSE)


def test_resampling() -> None:
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(filtered(x, 2, 1), upfirdn(x, (2, 1)), **CLOSE)
    torch.testing.assert_close(doubled(x), upfirdn(x, (2, 1), up=2, gain=4), **CLOSE)
    assert doubled(torch.ones(1, 1, 6, 6))[0, 0, 3:-3, 3:-3].unique().tolist() == [1.0]  # a gain of one


def test_initial_weights() -> None:
    """Normal; where the learning rate is a hundredth, a hundred times as large; biases of styles are one."""
    stylegan = StyleGAN2((3, 8, 8), 256, 1000, 60, 60, 60)
    generator = stylegan.generator
    assert generator.mapping.layers[0].weight.std().item() == pytest.approx(100, rel=0.05)
    conv = generator.blocks[0].layers[0].conv
    for weight in (conv.weight, conv.affine.weight, stylegan.discriminator.conv.weight, generator.constant):
        assert weight.std().item() == pytest.approx(1, rel=0.1)
    assert conv.affine.bias.unique().tolist() == [1.0]
    assert stylegan.discriminator.hidden.bias.unique().tolist() == [0.0]
    assert generator.blocks[0].layers[0].strength.item() == 0
