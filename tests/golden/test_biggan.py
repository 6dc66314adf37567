"""BigGAN by its official code (ajbrock/BigGAN-PyTorch, `BigGAN.py` and `layers.py`)."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models import BigGAN
from golden.fixed import filled, images
from golden.gan_resnet import State, batch_norm, conv, converged, critic_features, linear, normalized, relu, up, weight
from golden.running import with_running_averages

SHAPE, LEVELS, WIDTH, CLASSES, LATENTS = (3, 16, 16), 256, 8, 3, 8
Y = torch.tensor([2, 0, 1])
VARIANTS: dict[str, dict[str, Any]] = {
    "cifar": {},
    "shared": {"shared_embedding": 5},
    "all": {"shared_embedding": 5, "hierarchical": True, "attention": 4, "initialization": "orthogonal"},
}


def _model(variant: str) -> BigGAN:
    torch.manual_seed(0)
    options = {"num_latents": LATENTS, "num_classes": CLASSES, "num_scales": 3, **VARIANTS[variant]}
    return with_running_averages(filled(BigGAN(SHAPE, LEVELS, WIDTH, **options)))


def _ccbn(w: State, name: str, x: Tensor, condition: Tensor) -> Tensor:
    """`ccbn`: matrices of the shared embedding (and a part of z), or embeddings of the class itself."""
    if condition.dtype == torch.long:
        gain, bias = (w[f"{name}.{which}.weight"][condition] for which in ("gain", "bias"))
    else:
        gain, bias = (linear(w, f"{name}.{which}", condition) for which in ("gain", "bias"))
    return (1 + gain)[:, :, None, None] * normalized(w, f"{name}.norm", x) + bias[:, :, None, None]


def _attention(w: State, name: str, x: Tensor) -> Tensor:
    """`Attention`: theta, phi, g, o."""
    batch, channels, height, width = x.shape
    theta = conv(w, f"{name}.query", x).view(batch, channels // 8, -1)
    phi = F.max_pool2d(conv(w, f"{name}.key", x), 2).view(batch, channels // 8, -1)
    g = F.max_pool2d(conv(w, f"{name}.value", x), 2).view(batch, channels // 2, -1)
    beta = torch.softmax(torch.einsum("bcq,bck->bqk", theta, phi), dim=-1)
    seen = torch.einsum("bck,bqk->bcq", g, beta).view(batch, channels // 2, height, width)
    return w[f"{name}.gamma"] * conv(w, f"{name}.out", seen) + x


def _unwrapped(w: State) -> State:
    return {name.replace(".block.", "."): value for name, value in w.items()}


@pytest.mark.parametrize("variant", VARIANTS)
def test_generator(variant: str) -> None:
    model = _model(variant)
    z = torch.randn(3, LATENTS, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    converged(model.generator)
    w, options = _unwrapped(model.generator.state_dict()), VARIANTS[variant]
    y = w["shared.weight"][Y] if "shared_embedding" in options else Y
    parts = z.split(LATENTS // 4, dim=1) if "hierarchical" in options else (z,)
    conditions = [torch.cat((y, part), dim=1) for part in parts[1:]] or [y] * 3
    h = linear(w, "linear", parts[0]).view(3, WIDTH, 2, 2)
    for index, condition in enumerate(conditions):
        block = f"blocks.{index}"
        inner = conv(w, f"{block}.conv1", up(relu(_ccbn(w, f"{block}.norm1", h, condition))))
        inner = conv(w, f"{block}.conv2", relu(_ccbn(w, f"{block}.norm2", inner, condition)))
        h = inner + conv(w, f"{block}.shortcut", up(h))
        if h.shape[2] == options.get("attention"):
            h = _attention(w, f"{block}.attention", h)
    expected = torch.tanh(conv(w, "conv", relu(batch_norm(w, "norm", h))))
    torch.testing.assert_close(model.generator(z, Y), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("variant", ["cifar", "all"])
def test_critic(variant: str) -> None:
    model, x = _model(variant), (images(SHAPE, LEVELS, count=3) / 127.5 - 1).double()
    converged(model.discriminator)
    w = _unwrapped(model.discriminator.state_dict())

    def behind(block: int, h: Tensor) -> Tensor:
        attends = block == 1 and "attention" in VARIANTS[variant]
        return _attention(w, "blocks.1.attention", h) if attends else h

    features = critic_features(w, x, halvings=2, blocks=4, behind=behind).sum(dim=(2, 3))
    expected = linear(w, "linear", features)[:, 0] + (weight(w, "embedding")[Y] * features).sum(dim=1)
    torch.testing.assert_close(model.discriminator(x, Y), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("initialization", ["normal", "orthogonal"])
def test_initial_values(initialization: Any) -> None:
    """`init_weights`: N02 or ortho, of convolutions, matrices and embeddings."""
    torch.manual_seed(0)
    model = BigGAN(
        (3, 32, 32),
        LEVELS,
        64,
        num_classes=10,
        shared_embedding=32,
        initialization=initialization,
        spectral_norm=False,
        generator_spectral_norm=False,
    )
    for name, part in model.named_modules():
        if not isinstance(part, nn.Conv2d | nn.Linear | nn.Embedding):
            continue
        matrix = part.weight.detach().flatten(1)
        if initialization == "normal":
            assert float(matrix.std()) == pytest.approx(0.02, rel=0.25 if matrix.numel() < 1000 else 0.1), name
        else:
            inner = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
            torch.testing.assert_close(inner, torch.eye(len(inner)), rtol=0, atol=1e-5)
    assert not model.dequantize
