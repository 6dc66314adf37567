"""DCGAN by the official torch code's networks as pytorch/examples has them (`dcgan/main.py`)."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models import DCGAN
from golden.fixed import filled, images
from golden.running import with_running_averages

SHAPE, LEVELS, NGF, NZ = (3, 64, 64), 256, 2, 5
State = dict[str, Tensor]


def _model() -> DCGAN:
    return with_running_averages(filled(DCGAN(SHAPE, LEVELS, NGF, NZ)))


def _batch_norm(w: State, name: str, x: Tensor) -> Tensor:
    mean, variance, gain, bias = (
        w[f"{name}.{which}"].view(1, -1, 1, 1) for which in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(variance + 1e-5) * gain + bias


def test_generator() -> None:
    """No biases; from 1x1 to 4x4 without padding, then doubled four times."""
    model, z = _model(), torch.randn(3, NZ, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    w = {name.removeprefix("layers."): value for name, value in model.generator.state_dict().items()}
    assert not [name for name, value in w.items() if name.endswith("bias") and value.dim() != 1]
    h = torch.einsum("bz,zchw->bchw", z, w["0.weight"])
    for layer in (3, 6, 9, 12):
        h = _batch_norm(w, f"{layer - 2}", h).clamp(min=0)
        h = F.conv_transpose2d(h, w[f"{layer}.weight"], None, stride=2, padding=1)
    assert h.shape == (3, *SHAPE)
    torch.testing.assert_close(model.generator(z), torch.tanh(h), rtol=1e-10, atol=1e-10)


def test_critic() -> None:
    model, x = _model(), images(SHAPE, LEVELS, count=3)
    v = (x.double() / 255 - 0.5) / 0.5
    torch.testing.assert_close(model.scaled(x), v, rtol=1e-12, atol=1e-12)
    w = {name.removeprefix("layers."): value for name, value in model.discriminator.state_dict().items()}
    h = F.leaky_relu(F.conv2d(v, w["0.weight"], None, stride=2, padding=1), 0.2)
    for layer in (2, 5, 8):
        h = _batch_norm(w, f"{layer + 1}", F.conv2d(h, w[f"{layer}.weight"], None, stride=2, padding=1))
        h = F.leaky_relu(h, 0.2)
    expected = torch.einsum("bchw,ochw->b", h, w["11.weight"])
    torch.testing.assert_close(model.discriminator(v), expected, rtol=1e-10, atol=1e-10)


def test_initial_values() -> None:
    """`weights_init`: convolutions N(0, 0.02), gains N(1, 0.02), biases of batch norms 0."""
    torch.manual_seed(0)
    for part in DCGAN(SHAPE, LEVELS, 64).modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            assert float(part.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
            assert part.bias is None
        elif isinstance(part, nn.BatchNorm2d):
            assert float(part.weight.detach().mean()) == pytest.approx(1, abs=0.01)
            assert float(part.weight.detach().std()) == pytest.approx(0.02, rel=0.3)
            assert not part.bias.any()


def test_a_critic_without_batch_norm_has_biases() -> None:
    for options in ({"critic_norm": "none"}, {"spectral_norm": True}):
        critic = DCGAN((1, 8, 8), LEVELS, 4, num_scales=2, **options).discriminator
        assert len([name for name, _ in critic.named_parameters() if name.endswith("bias")]) == 3
