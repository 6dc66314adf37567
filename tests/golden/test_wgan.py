"""WGAN and WGAN-GP by the code of the latter's authors (igul222/improved_wgan_training): `gan_cifar`, `gan_mnist`."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models import WGAN
from golden.fixed import filled, images
from golden.running import with_running_averages

LEVELS, WIDTH = 256, 3
State = dict[str, Tensor]


def _model(side: int, critic_norm: str = "none") -> WGAN:
    return with_running_averages(filled(WGAN((2, side, side), LEVELS, WIDTH, num_latents=4, critic_norm=critic_norm)))


def _batch_norm(w: State, name: str, x: Tensor) -> Tensor:
    mean, variance, gain, bias = (
        w[f"{name}.{which}"].view(1, -1, *[1] * (x.dim() - 2))
        for which in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(variance + 1e-5) * gain + bias


def _same(length: int) -> tuple[int, int]:
    """Noughts that TensorFlow's "SAME" sets before and behind, for a kernel of 5 at every second place."""
    missing = 3 if length % 2 == 0 else 4
    return missing // 2, missing - missing // 2


def _conv(w: State, name: str, x: Tensor) -> Tensor:
    before, behind = _same(x.shape[2])
    return F.conv2d(F.pad(x, (before, behind, before, behind)), w[f"{name}.weight"], w[f"{name}.bias"], stride=2)


def _deconv(w: State, name: str, x: Tensor) -> Tensor:
    """The gradient of that convolution of an image twice as large: to its own input, noughts left off."""
    image = torch.zeros(len(x), w[f"{name}.weight"].shape[1], 2 * x.shape[2], 2 * x.shape[2], dtype=x.dtype)
    image.requires_grad_()
    convolved = F.conv2d(F.pad(image, (1, 2, 1, 2)), w[f"{name}.weight"], stride=2)
    return torch.autograd.grad(convolved, image, x)[0] + w[f"{name}.bias"].view(1, -1, 1, 1)


@pytest.mark.parametrize("side", [32, 28])
def test_generator(side: int) -> None:
    """With `output[:, :, :7, :7]` of `gan_mnist`."""
    model = _model(side)
    z = torch.randn(3, 4, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    w = model.generator.state_dict()
    h = z @ w["first.0.weight"].T + w["first.0.bias"]
    h = _batch_norm(w, "first.1", h).clamp(min=0).view(3, 4 * WIDTH, 4, 4)
    h = _deconv(w, "layers.0", h)[:, :, : 7 if side == 28 else 8, : 7 if side == 28 else 8]
    h = _deconv(w, "layers.3", _batch_norm(w, "layers.1", h).clamp(min=0))
    h = torch.tanh(_deconv(w, "layers.6", _batch_norm(w, "layers.4", h).clamp(min=0)))
    assert h.shape == (3, 2, side, side)
    torch.testing.assert_close(model.generator(z), h, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("side", [32, 28])
@pytest.mark.parametrize("critic_norm", ["none", "batch"])
def test_critic(side: int, critic_norm: str) -> None:
    model, x = _model(side, critic_norm), images((2, side, side), LEVELS, count=3)
    h = v = 2 * (x.double() / 255 - 0.5)
    torch.testing.assert_close(model.scaled(x), v, rtol=1e-12, atol=1e-12)
    w = model.discriminator.state_dict()
    for index, layer in enumerate((0, 2, 5) if critic_norm == "batch" else (0, 2, 4)):
        h = _conv(w, f"layers.{layer}", h)
        if critic_norm == "batch" and index:
            h = _batch_norm(w, f"layers.{layer + 1}", h)
        h = torch.maximum(0.2 * h, h)
    assert h.shape == (3, 4 * WIDTH, 4, 4)
    expected = h.reshape(3, -1) @ w["last.weight"][0] + w["last.bias"]
    torch.testing.assert_close(model.discriminator(v), expected, rtol=1e-10, atol=1e-10)


def test_initial_values() -> None:
    """`he_init` with a stride's quarter of the fan on the small side; Glorot's for matrices; biases 0."""
    torch.manual_seed(0)
    model = WGAN((3, 32, 32), LEVELS, 32)
    checked = 0
    for name, part in model.named_modules():
        if isinstance(part, nn.Conv2d):
            fans = part.in_channels * 25 + part.out_channels * 25 / 4
        elif isinstance(part, nn.ConvTranspose2d):
            fans = part.in_channels * 25 / 4 + part.out_channels * 25
        elif isinstance(part, nn.Linear):
            fans = 2.0 * (part.in_features + part.out_features)
        else:
            continue
        weight = part.weight.detach()
        assert float(weight.std()) == pytest.approx((4 / fans) ** 0.5, rel=0.05), name
        assert float(weight.abs().max()) <= (12 / fans) ** 0.5 * (1 + 1e-6), name
        assert part.bias is not None
        assert not part.bias.any(), name
        checked += 1
    assert checked == 8
