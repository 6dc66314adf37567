"""CycleGAN as in junyanz/pytorch-CycleGAN-and-pix2pix: `ResnetGenerator`, `NLayerDiscriminator`, their losses."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models import CycleGAN
from genmodels.objectives import CycleConsistency
from genmodels.training.modules.translation_module import TranslationModule
from golden.fixed import filled

CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def model() -> CycleGAN:
    return filled(CycleGAN((2, 32, 32), 256, 10, (3, 8), width=2, num_blocks=2, critic_width=3, critic_layers=3))


def pairs(net: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias of each convolution in turn."""
    parameters = list(net.parameters())
    return list(zip(parameters[::2], parameters[1::2], strict=True))


def normed(x: Tensor) -> Tensor:
    """`InstanceNorm2d(affine=False, track_running_stats=False)`."""
    mean, variance = x.mean(dim=(2, 3), keepdim=True), x.var(dim=(2, 3), keepdim=True, correction=0)
    return (x - mean) / (variance + 1e-5).sqrt()


def reflected(x: Tensor, by: int) -> Tensor:
    return F.pad(x, (by, by, by, by), mode="reflect")


def resnet(net: nn.Module, x: Tensor, blocks: int) -> Tensor:
    first, down, downer, *rest = pairs(net)
    residual, (up, upper, last) = rest[: 2 * blocks], rest[2 * blocks :]
    h = F.relu(normed(F.conv2d(reflected(x, 3), *first)))
    h = F.relu(normed(F.conv2d(h, *down, stride=2, padding=1)))
    h = F.relu(normed(F.conv2d(h, *downer, stride=2, padding=1)))
    for block in range(blocks):
        inner = F.relu(normed(F.conv2d(reflected(h, 1), *residual[2 * block])))
        h = h + normed(F.conv2d(reflected(inner, 1), *residual[2 * block + 1]))
    for layer in (up, upper):
        h = F.relu(normed(F.conv_transpose2d(h, *layer, stride=2, padding=1, output_padding=1)))
    return torch.tanh(F.conv2d(reflected(h, 3), *last))


def n_layer(net: nn.Module, x: Tensor) -> Tensor:
    first, *middle, last = pairs(net)
    h = F.leaky_relu(F.conv2d(x, *first, stride=2, padding=1), 0.2)
    for index, layer in enumerate(middle):
        stride = 1 if index == len(middle) - 1 else 2
        h = F.leaky_relu(normed(F.conv2d(h, *layer, stride=stride, padding=1)), 0.2)
    return F.conv2d(h, *last, padding=1)


def pixels(seed: int, count: int = 3) -> Tensor:
    return torch.rand(count, 2, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_generator() -> None:
    net = model().generators[0]
    torch.testing.assert_close(net(pixels(0)), resnet(net, pixels(0), 2), **CLOSE)


def test_the_critic_of_patches() -> None:
    net = model().discriminators[1]
    torch.testing.assert_close(net(pixels(0)), n_layer(net, pixels(0)), **CLOSE)


def test_a_score_sees_70_pixels() -> None:
    with torch.device("meta"):
        critic = CycleGAN((3, 256, 256), 256, 2).discriminators[0]
    seen = 1
    for conv in [part for part in critic if isinstance(part, nn.Conv2d)][::-1]:
        seen = (seen - 1) * conv.stride[0] + conv.kernel_size[0]
    assert seen == 70


def test_the_losses() -> None:
    """`backward_G` and `backward_D` with their default weights, A is our domain 0; histories are off."""
    cyclegan = model()
    objective = CycleConsistency(history=0)
    module = TranslationModule(cyclegan, objective, torch.optim.Adam)
    real_a, real_b = pixels(1), pixels(2, count=2)
    (to_a, to_b), (critic_a, critic_b) = cyclegan.generators, cyclegan.discriminators
    fake_b, fake_a = to_b(real_a), to_a(real_b)
    l1, mse = nn.L1Loss(), nn.MSELoss()

    def gan(scores: Tensor, is_real: float) -> Tensor:
        return mse(scores, torch.full_like(scores, is_real))

    cycle = l1(to_a(fake_b), real_a) * 10 + l1(to_b(fake_a), real_b) * 10
    identity = l1(to_b(real_b), real_b) * 10 * 0.5 + l1(to_a(real_a), real_a) * 10 * 0.5
    expected = gan(critic_b(fake_b), 1) + gan(critic_a(fake_a), 1) + cycle + identity
    images = {0: real_a, 1: real_b}
    torch.testing.assert_close(module._generators_loss(images), expected, **CLOSE)
    loss_b = (gan(critic_b(real_b), 1) + gan(critic_b(fake_b.detach()), 0)) * 0.5
    loss_a = (gan(critic_a(real_a), 1) + gan(critic_a(fake_a.detach()), 0)) * 0.5
    torch.testing.assert_close(module._critics_loss(images, module._samples), loss_a + loss_b, **CLOSE)


@pytest.mark.parametrize("name", ["generators", "discriminators"])
def test_initial_weights(name: str) -> None:
    for weight, bias in pairs(getattr(CycleGAN((3, 32, 32), 256, 2, width=16, num_blocks=1), name)):
        assert weight.std().item() == pytest.approx(0.02, rel=0.15)
        assert not bias.any()
