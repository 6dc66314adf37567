"""WGAN-GP's residual networks by its official code (igul222/improved_wgan_training, `gan_cifar_resnet.py`)."""

import pytest
import torch
from torch import nn

from genmodels.models import WGANGPResNet
from golden.fixed import filled, images
from golden.gan_resnet import batch_norm, conv, critic_features, linear, relu, up
from golden.running import with_running_averages

SHAPE, LEVELS, WIDTH = (3, 8, 8), 256, 5


def _model() -> WGANGPResNet:
    return with_running_averages(filled(WGANGPResNet(SHAPE, LEVELS, WIDTH, num_latents=4, num_scales=2)))


def test_generator() -> None:
    model, z = _model(), torch.randn(3, 4, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    w = model.generator.state_dict()
    h = linear(w, "linear", z).view(3, WIDTH, 2, 2)
    for block in ("blocks.0", "blocks.1"):
        inner = conv(w, f"{block}.conv1", up(relu(batch_norm(w, f"{block}.norm1", h))))
        inner = conv(w, f"{block}.conv2", relu(batch_norm(w, f"{block}.norm2", inner)))
        h = conv(w, f"{block}.shortcut", up(h)) + inner
    expected = torch.tanh(conv(w, "conv", relu(batch_norm(w, "norm", h))))
    torch.testing.assert_close(model.generator(z), expected, rtol=1e-10, atol=1e-10)


def test_critic_and_its_data() -> None:
    """`Discriminator` with the mean over pixels, of 2 (x / 256 - 1 / 2) + U[0, 1 / 128)."""
    model, x = _model(), images(SHAPE, LEVELS, count=3).to(torch.uint8)
    torch.manual_seed(4)
    seen = model.scaled(x)
    torch.manual_seed(4)
    v = 2 * (x.double() / 256 - 0.5) + torch.rand(x.shape, dtype=torch.double) / 128
    torch.testing.assert_close(seen, v, rtol=1e-12, atol=1e-12)
    w = model.discriminator.state_dict()
    features = critic_features(w, v, halvings=1, blocks=3).mean(dim=(2, 3))
    torch.testing.assert_close(model.discriminator(v), linear(w, "linear", features)[:, 0], rtol=1e-10, atol=1e-10)


def test_initial_values() -> None:
    """Uniform of variance 4 / (fan in + fan out) in blocks, 2 / (fan in + fan out) in shortcuts and at the ends."""
    torch.manual_seed(0)
    model = WGANGPResNet((3, 32, 32), LEVELS, width=64)
    checked = 0
    for net in (model.generator, model.discriminator):
        for name, part in net.named_modules():
            if not isinstance(part, nn.Conv2d | nn.Linear):
                continue
            fan_in = part.weight[0].numel()
            fan_out = fan_in * len(part.weight) / part.weight.shape[1]
            inner = name.endswith(("conv1", "conv2"))
            deviation = ((4 if inner else 2) / (fan_in + fan_out)) ** 0.5
            assert float(part.weight.detach().std()) == pytest.approx(deviation, rel=0.15), name
            assert float(part.weight.detach().abs().max()) <= 3**0.5 * deviation * (1 + 1e-6), name
            assert part.bias is not None
            assert not part.bias.any()
            checked += 1
    assert checked == 2 + 3 * 3 + 2 * 3 + 2 * 2 + 1
