"""SN-GAN and cGAN-PD by their official code (pfnet-research/sngan_projection): `resnet_32`, `snresnet_32`, Chainer."""

import pytest
import torch
from torch import Tensor

from genmodels.models import SNGAN
from golden.fixed import filled, images
from golden.gan_resnet import State, batch_norm, conv, converged, critic_features, linear, normalized, relu, up, weight
from golden.running import with_running_averages

SHAPE, LEVELS, WIDTH, CRITIC_WIDTH, CLASSES = (3, 16, 16), 256, 5, 4, 3
Y = torch.tensor([2, 0, 1])


def _model(conditional: bool) -> SNGAN:
    torch.manual_seed(0)
    options = {"conditional": conditional, "num_classes": CLASSES, "num_scales": 3}
    return with_running_averages(filled(SNGAN(SHAPE, LEVELS, WIDTH, CRITIC_WIDTH, num_latents=4, **options)))


def _norm(w: State, name: str, x: Tensor, y: Tensor | None) -> Tensor:
    """`CategoricalConditionalBatchNormalization`, whose gammas are our gains and 1."""
    if y is None:
        return batch_norm(w, name, x)
    gamma, beta = 1 + w[f"{name}.gain.weight"][y], w[f"{name}.bias.weight"][y]
    return gamma[:, :, None, None] * normalized(w, f"{name}.norm", x) + beta[:, :, None, None]


@pytest.mark.parametrize("y", [None, Y], ids=["plain", "classes"])
def test_generator(y: Tensor | None) -> None:
    model = _model(conditional=y is not None)
    z = torch.randn(3, 4, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    w = model.generator.state_dict()
    h = linear(w, "linear", z).view(3, WIDTH, 2, 2)
    for block in ("blocks.0", "blocks.1", "blocks.2"):
        inner = conv(w, f"{block}.conv1", up(relu(_norm(w, f"{block}.norm1", h, y))))
        inner = conv(w, f"{block}.conv2", relu(_norm(w, f"{block}.norm2", inner, y)))
        h = inner + conv(w, f"{block}.shortcut", up(h))
    expected = torch.tanh(conv(w, "conv", relu(batch_norm(w, "norm", h))))
    torch.testing.assert_close(model.generator(z, y), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("y", [None, Y], ids=["plain", "classes"])
def test_critic(y: Tensor | None) -> None:
    """`SNResNetProjectionDiscriminator`, its sum over pixels, and a bias; each weight over its singular value."""
    model, x = _model(conditional=y is not None), images(SHAPE, LEVELS, count=3) / 127.5 - 1
    converged(model.discriminator)
    w = model.discriminator.state_dict()
    features = critic_features(w, x.double(), halvings=2, blocks=4).sum(dim=(2, 3))
    expected = linear(w, "linear", features)[:, 0]
    if y is not None:
        expected = expected + (weight(w, "embedding")[y] * features).sum(dim=1)
    assert len([name for name in w if name.endswith("original")]) == 4 * 2 + 2 + 1 + (y is not None)
    torch.testing.assert_close(model.discriminator(x.double(), y), expected, rtol=1e-6, atol=1e-6)


def test_initial_values_of_classes() -> None:
    """Gammas 1 and betas 0; the projection GlorotUniform as all the rest (see the test of WGAN-GP's)."""
    torch.manual_seed(0)
    model = SNGAN((3, 32, 32), LEVELS, conditional=True, num_classes=10, spectral_norm=False)
    w = model.state_dict()
    of_norms = [name for name in w if name.endswith(("gain.weight", "norm1.bias.weight", "norm2.bias.weight"))]
    assert len(of_norms) == 12
    assert not any(w[name].any() for name in of_norms)
    projection = w["discriminator.embedding.weight"]
    assert float(projection.std()) == pytest.approx((2 / (10 + 128)) ** 0.5, rel=0.1)
    assert float(projection.abs().max()) <= (6 / (10 + 128)) ** 0.5
    inner = w["generator.blocks.1.conv1.weight"]
    assert float(inner.std()) == pytest.approx((4 / (2 * 9 * 256)) ** 0.5, rel=0.02)
    assert model.dequantize
