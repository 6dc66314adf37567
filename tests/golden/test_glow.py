"""Glow by Kingma & Dhariwal 2018 (arXiv:1807.03039) and its official code (openai/glow, `model.py` and `tfops.py`)."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.models import Glow
from genmodels.networks.data_init import initialize
from golden.fixed import filled, images

LEVELS, STEPS, SCALES = 17, 2, 2
SHAPE = (2, 8, 8)

State = dict[str, Tensor]

VARIANTS: dict[str, dict[str, Any]] = {
    "official": {"conv1x1": "full"},
    "lu": {},
    "conditional": {"conditional": True, "num_classes": 3},
    "additive": {"coupling": "additive", "edge": False},
    "reverse": {"permutation": "reverse", "learn_top": False},
    "shuffle": {"permutation": "shuffle"},
}


def _conv(w: State, name: str, x: Tensor) -> Tensor:
    """`conv2d` with `add_edge_padding`, without what follows: a plane of ones around the image as a channel."""
    kernel = w[f"{name}.weight"]
    padding = kernel.shape[-1] // 2
    padded = F.pad(x, [padding] * 4)
    if f"{name}.edge_weight" in w:
        plane = torch.ones_like(padded[:, :1])
        plane[:, :, padding:-padding, padding:-padding] = 0
        padded, kernel = torch.cat((padded, plane), dim=1), torch.cat((kernel, w[f"{name}.edge_weight"]), dim=1)
    return F.conv2d(padded, kernel)


def _actnorm(w: State, name: str, x: Tensor) -> Tensor:
    """`actnorm`, and what `conv2d_zeros` does to its result: add, then scale by exp(3 logs)."""
    return (x + w[f"{name}.bias"].view(1, -1, 1, 1)) * torch.exp(3 * w[f"{name}.logs"].view(1, -1, 1, 1))


def _zeros_conv(w: State, name: str, x: Tensor) -> Tensor:
    return _actnorm(w, name, _conv(w, f"{name}.conv", x))


def _f(w: State, name: str, x: Tensor) -> Tensor:
    h = _actnorm(w, f"{name}.first", _conv(w, f"{name}.first.conv", x)).clamp(min=0)
    h = _actnorm(w, f"{name}.second", _conv(w, f"{name}.second.conv", h)).clamp(min=0)
    return _zeros_conv(w, f"{name}.last", h)


def _matrix(w: State, name: str) -> Tensor:
    weight = w[f"{name}.weight"]
    if f"{name}.permutation" not in w:
        return weight
    lower = torch.tril(weight, -1) + torch.eye(len(weight), dtype=weight.dtype)
    upper = torch.triu(weight, 1) + torch.diag(w[f"{name}.sign"] * torch.exp(torch.diagonal(weight)))
    return w[f"{name}.permutation"] @ lower @ upper


def _step(w: State, name: str, z: Tensor) -> tuple[Tensor, Tensor]:
    """`revnet2d_step`; shift and scale are the halves of the network's output, not every second channel."""
    pixels = z.shape[2] * z.shape[3]
    mixing = f"{name}.bijections.0"
    fixed = f"{mixing}.bijections.1.order" in w
    norm = f"{mixing}.bijections.0" if fixed else f"{mixing}.actnorm"
    z, log_det = _actnorm(w, norm, z), pixels * 3 * w[f"{norm}.logs"].sum()
    if fixed:
        z = z[:, w[f"{mixing}.bijections.1.order"]]
    else:
        matrix = _matrix(w, f"{mixing}.conv")
        z, log_det = torch.einsum("oi,bihw->bohw", matrix, z), log_det + pixels * matrix.det().abs().log()
    z1, z2 = z.split(z.shape[1] // 2, dim=1)
    h = _f(w, f"{name}.bijections.1.net", z1)
    if h.shape == z2.shape:
        return torch.cat((z1, z2 + h), dim=1), log_det.expand(len(z))
    shift, raw = h.split(z2.shape[1], dim=1)
    scale = 1 / (1 + torch.exp(-(raw + 2)))
    return torch.cat((z1, (z2 + shift) * scale), dim=1), log_det + scale.log().sum(dim=(1, 2, 3))


def _gaussian(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """`gaussian_diag` with mean and log-deviation the halves of h: the noise of x and log p(x)."""
    mean, logs = h.split(x.shape[1], dim=1)
    log_p = -0.5 * (math.log(2 * math.pi) + 2 * logs + (x - mean) ** 2 / torch.exp(2 * logs))
    return (x - mean) / torch.exp(logs), log_p.sum(dim=(1, 2, 3))


def _scale(w: State, name: str, x: Tensor, remaining: int, y: Tensor | None) -> tuple[Tensor, Tensor]:
    """`codec`'s encoder and `prior`: the noise at the places of the pixels that it is of, and log p(x)."""
    batch, channels, height, width = x.shape
    z = x.view(batch, channels, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 2, 4)
    z = z.reshape(batch, 4 * channels, height // 2, width // 2)
    log_p = torch.zeros(batch, dtype=x.dtype)
    for step in range(STEPS):
        z, log_det = _step(w, f"{name}.inner.bijections.{step}", z)
        log_p = log_p + log_det
    last = f"{name}.inner.bijections.{STEPS}"
    if remaining > 1:
        z1, z2 = z.split(2 * channels, dim=1)
        noise2, log_p2 = _gaussian(_zeros_conv(w, f"{last}.bijections.0.net", z1), z2)
        noise1, log_p1 = _scale(w, f"{last}.bijections.1.inner", z1, remaining - 1, y)
        noise, log_p = torch.cat((noise1, noise2), dim=1), log_p + log_p1 + log_p2
    else:
        h = z.new_zeros(batch, 8 * channels, height // 2, width // 2)
        if f"{last}.conv.bias" in w:
            h = _zeros_conv(w, f"{last}.conv", h)
        if y is not None:
            h = h + (w[f"{last}.of_class.weight"].T[y] + w[f"{last}.of_class.bias"])[:, :, None, None]
        noise, log_p_top = _gaussian(h, z)
        log_p = log_p + log_p_top
    noise = noise.view(batch, channels, 2, 2, height // 2, width // 2).permute(0, 1, 4, 2, 5, 3)
    return noise.reshape(x.shape), log_p


def _model(variant: str) -> Glow:
    torch.manual_seed(0)
    model = filled(Glow(SHAPE, LEVELS, num_scales=SCALES, num_steps=STEPS, width=6, **VARIANTS[variant]))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("logs"):
                parameter.mul_(0.1)  # they grow by a factor 3 again, and sigmoids must not saturate
    return model


def _check_parts(w: State, settings: dict[str, Any]) -> None:
    """What the lines above take where they find it is there where it ought to be, and nowhere else."""
    larger = [name for name, value in w.items() if name.endswith("conv.weight") and value.shape[-2:] == (3, 3)]
    assert len(larger) == 2 * SCALES * STEPS + (SCALES - 1) + settings.get("learn_top", True)
    for name in larger:
        assert (name.replace("weight", "edge_weight") in w) == settings.get("edge", True), name
    in_lu_form = "permutation" not in settings and settings.get("conv1x1", "lu") == "lu"
    assert any(name.endswith("conv.permutation") for name in w) == in_lu_form
    assert any(name.endswith("bijections.1.order") for name in w) == ("permutation" in settings)
    assert any("of_class" in name for name in w) == settings.get("conditional", False)


@pytest.mark.parametrize("variant", VARIANTS)
def test_log_prob_and_latents(variant: str) -> None:
    model, x = _model(variant), images(SHAPE, LEVELS, count=3)
    _check_parts(model.state_dict(), VARIANTS[variant])
    w, y = model.state_dict(), torch.tensor([2, 0, 1]) if variant == "conditional" else None
    torch.manual_seed(3)
    log_p = model.log_prob(x, y)
    torch.manual_seed(3)
    v = x.double() / LEVELS - 0.5 + torch.rand(x.shape, dtype=torch.float64) / LEVELS
    _, expected = _scale(w, "bijection.bijections.1", v, SCALES, y)
    torch.testing.assert_close(log_p, expected - math.prod(SHAPE) * math.log(LEVELS), rtol=1e-10, atol=1e-10)

    noise, _ = _scale(w, "bijection.bijections.1", (x.double() + 0.5) / LEVELS - 0.5, SCALES, y)
    z = model.encode(x, y)
    torch.testing.assert_close(z, noise, rtol=1e-10, atol=1e-10)
    assert torch.equal(model.decode(z, y), x.to(torch.uint8))


def test_reverse_and_shuffle() -> None:
    """`reverse_features` and `shuffle_features`: the last channel first, and some order that is neither."""
    order = "bijection.bijections.1.inner.bijections.0.bijections.0.bijections.1.order"
    assert torch.equal(_model("reverse").state_dict()[order], torch.arange(7, -1, -1))
    shuffled = _model("shuffle").state_dict()[order]
    assert torch.equal(shuffled.sort().values, torch.arange(8))
    assert not torch.equal(shuffled, torch.arange(8))


@pytest.mark.parametrize("conv1x1", ["lu", "full"])
def test_initial_values(conv1x1: str) -> None:
    """`default_initializer(0.05)` in hidden layers, rotations for 1x1 convolutions, zeros elsewhere."""
    torch.manual_seed(0)
    model = Glow(SHAPE, LEVELS, num_scales=2, num_steps=2, width=64, conv1x1=conv1x1, conditional=True, num_classes=3)
    w = model.state_dict()
    rotations, hidden = 0, 0
    for name, value in w.items():
        if name.endswith(("first.conv.weight", "first.conv.edge_weight", "second.conv.weight")):
            assert float(value.std()) == pytest.approx(0.05, rel=0.1), name
            assert abs(float(value.mean())) < 0.01, name
            hidden += 1
        elif name.endswith(".0.conv.weight"):
            matrix = _matrix(w, name.removesuffix(".weight"))
            torch.testing.assert_close(matrix @ matrix.T, torch.eye(len(matrix)), atol=1e-5, rtol=0)
            assert float((matrix - torch.eye(len(matrix))).abs().max()) > 0.5
            rotations += 1
        elif not name.endswith((".permutation", ".sign")):
            assert not value.any(), name
    assert (rotations, hidden) == (4, 12)


def test_actnorms_are_initialised_from_the_first_batch() -> None:
    """The first, of the squeezed pixels, and the first hidden layer of the coupling after it."""
    model = Glow((1, 4, 4), LEVELS, num_scales=1, num_steps=1, width=4, conv1x1="full").double()
    x = images((1, 4, 4), LEVELS, count=20)
    torch.manual_seed(3)
    initialize(model, lambda: model.log_prob(x))
    w = model.state_dict()
    torch.manual_seed(3)
    v = (x + torch.rand(x.shape, dtype=torch.float64)) / LEVELS - 0.5
    z = F.pixel_unshuffle(v, 2)
    step = "bijection.bijections.1.inner.bijections.0.bijections"
    var, mean = torch.var_mean(z, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(w[f"{step}.0.actnorm.bias"], -mean)
    torch.testing.assert_close(w[f"{step}.0.actnorm.logs"], -torch.log(var.sqrt()) / 3)
    z = torch.einsum("oi,bihw->bohw", w[f"{step}.0.conv.weight"], _actnorm(w, f"{step}.0.actnorm", z))
    var, mean = torch.var_mean(_conv(w, f"{step}.1.net.first.conv", z[:, :2]), dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(w[f"{step}.1.net.first.bias"], -mean)
    torch.testing.assert_close(w[f"{step}.1.net.first.logs"], -torch.log(var.sqrt()) / 3)
