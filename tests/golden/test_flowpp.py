"""Flow++ by Ho et al. 2019 (arXiv:1902.00275) and its official code (aravindsrinivas/flowpp, `flows/flows.py`)."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.bijections import MixtureLogistic
from genmodels.models import FlowPP, FlowPPDequantization
from genmodels.networks.data_init import initialize
from golden.fixed import filled, images

LEVELS, COMPONENTS, BLOCKS, HEADS = 17, 3, 2, 2
SHAPE = (2, 4, 8)
LAYOUT = ("3 columns", "squeeze", "2 channels", "1 columns")

State = dict[str, Tensor]
Settings = dict[str, Any]

VARIANTS: dict[str, Settings] = {
    "cifar10": {},
    "affine": {"coupling": "affine"},
    "no attention": {"attention": "pointwise"},
    "imagenet32": {"pointwise": False, "activate_output": True},
    "imagenet64": {"pointwise": False, "activate_output": True, "attention": "none"},
}
CONTEXTS: dict[str, str | None] = {"imagenet32": "self", "imagenet64": "none"}


def _concat_elu(x: Tensor) -> Tensor:
    x = torch.cat((x, -x), dim=-1)
    return torch.where(x > 0, x, torch.exp(x) - 1)


def _gate(x: Tensor) -> Tensor:
    a, b = x.split(x.shape[-1] // 2, dim=-1)
    return a / (1 + torch.exp(-b))


def _logistic_cdf(u: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-u))


@dataclass
class _Official:
    """The networks and couplings of the official code, on pixels [B, H, W, C].

    Attributes:
        w: the weights.
        dropout: probability.
        num_blocks: of a network.
    """

    w: State
    dropout: float = 0.0
    num_blocks: int = BLOCKS

    def conv(self, x: Tensor, name: str) -> Tensor:
        """`conv2d` and, of size 1, `nin`."""
        kernel = self.w[f"{name}.weight"]
        out = F.conv2d(x.permute(0, 3, 1, 2), kernel, self.w[f"{name}.bias"], padding=kernel.shape[-1] // 2)
        return out.permute(0, 2, 3, 1).contiguous()

    def dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout) if self.dropout else x

    def layer_norm(self, x: Tensor, name: str) -> Tensor:
        var, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
        return (x - mean) / torch.sqrt(var + 1e-5) * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def gated_conv(self, x: Tensor, name: str, context: Tensor | None = None) -> Tensor:
        h = self.conv(_concat_elu(x), f"{name}.first")
        if context is not None:
            h = h + self.conv(_concat_elu(context), f"{name}.from_context")
        return x + _gate(self.conv(self.dropped(_concat_elu(h)), f"{name}.second"))

    def gated_attention(self, x: Tensor, name: str, position: Tensor, attention: str) -> Tensor:
        """`gated_attn`, or the ablation's `gated_nin`."""
        batch, height, width, channels = x.shape
        h = self.conv(x + position, f"{name}.first")
        if attention == "pointwise":
            h = h.view(batch, height, width, channels, 3).max(dim=-1).values
        else:
            query, key, value = h.view(batch, height * width, 3, HEADS, channels // HEADS).unbind(dim=2)
            weights = torch.einsum("bthd,bshd->bhts", query, key) / math.sqrt(channels // HEADS)
            h = torch.einsum("bhts,bshd->bthd", torch.softmax(weights, dim=-1), value).reshape(x.shape)
        return x + _gate(self.conv(self.dropped(h.contiguous()), f"{name}.second"))

    def blocks(self, x: Tensor, net: str, attention: str, context: Tensor | None = None) -> Tensor:
        for block in range(self.num_blocks):
            name = f"{net}.blocks.{block}"
            x = self.layer_norm(self.gated_conv(x, f"{name}.conv", context), f"{name}.conv_norm")
            if attention != "none":
                x = self.gated_attention(x, f"{name}.attention", self.w[f"{net}.position"], attention)
                x = self.layer_norm(x, f"{name}.attention_norm")
        return x

    def coupling(
        self, given: Tensor, changed: Tensor, net: str, settings: Settings, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """`MixLogisticAttnCoupling`: what becomes of `changed`, and the log-determinant."""
        x = self.conv(given, f"{net}.first")
        x = self.blocks(x, net, settings.get("attention", "self"), context)
        x = self.conv(_concat_elu(x) if settings.get("activate_output") else x, f"{net}.last")
        channels = changed.shape[-1]
        a, b, *mixture = x.split(channels, dim=-1)
        z, log_det = changed, torch.zeros_like(changed)
        if mixture:
            logits, means, log_scales = (
                torch.stack(mixture[k : k + COMPONENTS], dim=-1) for k in (0, COMPONENTS, 2 * COMPONENTS)
            )
            z, log_det = _logit_of_mixture(z, logits, means, log_scales)
        z, log_det = z * torch.exp(torch.tanh(a)) + b, log_det + torch.tanh(a)
        return z, log_det.flatten(1).sum(dim=1)

    def stack(
        self, first: Tensor, second: Tensor, name: str, number: int, settings: Settings, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`Norm(), Pointwise(), MixLogisticAttnCoupling(), TupleFlip()`, `number` times, and the flips undone."""
        per_coupling = 4 if settings.get("pointwise", True) else 2
        total = torch.zeros(len(first), dtype=first.dtype)
        channels, pixels = first.shape[-1], first.shape[1] * first.shape[2]
        halves = [first, second]
        for coupling in range(number):
            norm = f"{name}.bijections.{per_coupling * coupling}"
            g, b = self.w[f"{norm}.scale"].clamp(min=1e-10), self.w[f"{norm}.bias"]
            total = total + g.log().sum()
            for half in (0, 1):
                of_half = slice(half * channels, (half + 1) * channels)
                halves[half] = halves[half] * g[of_half].permute(1, 2, 0) + b[of_half].permute(1, 2, 0)
                if per_coupling == 4:
                    matrix = self.w[f"{name}.bijections.{per_coupling * coupling + 1 + half}.inner.weight"]
                    halves[half] = torch.einsum("oi,bhwi->bhwo", matrix, halves[half])
                    total = total + pixels * matrix.det().abs().log()
            net = f"{name}.bijections.{per_coupling * (coupling + 1) - 1}.net"
            changes = 1 - coupling % 2
            halves[changes], step = self.coupling(halves[1 - changes], halves[changes], net, settings, context)
            total = total + step
        return halves[0], halves[1], total


def _logit_of_mixture(x: Tensor, logits: Tensor, means: Tensor, log_scales: Tensor) -> tuple[Tensor, Tensor]:
    """`MixLogisticCDF` and `Inverse(Sigmoid())`: y = F(x), log y / (1 - y), and the log-derivative of that."""
    weights, scales = torch.softmax(logits, dim=-1), torch.exp(log_scales.clamp(min=-7))
    cdfs = _logistic_cdf((x[..., None] - means) / scales)
    y = (weights * cdfs).sum(dim=-1)
    density = (weights * cdfs * (1 - cdfs) / scales).sum(dim=-1)
    return torch.log(y / (1 - y)), torch.log(density / (y * (1 - y)))


def _columns(x: Tensor) -> tuple[Tensor, Tensor]:
    """`CheckerboardSplit`, [B, H, W, C]."""
    batch, height, width, channels = x.shape
    even, odd = x.view(batch, height, width // 2, 2, channels).unbind(dim=3)
    return even, odd


def _interleaved(even: Tensor, odd: Tensor) -> Tensor:
    batch, height, half, channels = even.shape
    return torch.stack((even, odd), dim=3).view(batch, height, 2 * half, channels)


def _flow(w: State, v: Tensor, settings: Settings, dropout: float = 0.0) -> tuple[Tensor, Tensor]:
    """z, the places of the pixels kept, and log p(v) of v [B, C, H, W] in (0, 1), for LAYOUT."""
    official = _Official(w, dropout)
    squeezed = 0.05 + 0.9 * v
    total = torch.log(0.9 / (squeezed * (1 - squeezed))).sum(dim=(1, 2, 3))
    x = torch.log(squeezed / (1 - squeezed)).permute(0, 2, 3, 1)

    name = "bijection.bijections.1"
    even, odd, step = official.stack(*_columns(x), f"{name}.bijections.0.inner", 3, settings)
    x, total = _interleaved(even, odd), total + step

    # tf.space_to_depth: all channels of the upper left pixel first, then of the upper right, the lower left, ...
    x = torch.cat((x[:, ::2, ::2], x[:, ::2, 1::2], x[:, 1::2, ::2], x[:, 1::2, 1::2]), dim=3)
    name = f"{name}.bijections.1.inner"
    half = x.shape[3] // 2
    first, second, step = official.stack(x[..., :half], x[..., half:], f"{name}.bijections.0", 2, settings)
    x, total = torch.cat((first, second), dim=3), total + step
    even, odd, step = official.stack(*_columns(x), f"{name}.bijections.1.inner", 1, settings)
    x, total = _interleaved(even, odd), total + step

    corners = x.permute(0, 3, 1, 2).split(x.shape[3] // 4, dim=1)
    z = torch.empty_like(v)
    for corner, (row, column) in zip(corners, ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True):
        z[:, :, row::2, column::2] = corner
    return z, total - 0.5 * (z**2 + math.log(2 * math.pi)).sum(dim=(1, 2, 3))


def _noise(
    w: State, x: Tensor, eps: Tensor, settings: Settings, context_attention: str | None, dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    """`Dequant`: u of eps, given the image x, and log q(u | x)."""
    official = _Official({name.removeprefix("dequantization."): value for name, value in w.items()}, dropout)
    image = x.double().permute(0, 2, 3, 1) / LEVELS - 0.5
    context = official.conv(torch.cat(_columns(image), dim=3), "context.first")
    if context_attention is None:
        for block in range(BLOCKS):
            context = official.gated_conv(context, f"context.blocks.{block}")
    else:
        context = official.blocks(context, "context", context_attention)
    even, odd = _columns(eps.permute(0, 2, 3, 1))
    even, odd, log_det = official.stack(even, odd, "flow.inner", 2, settings, context)
    logit = _interleaved(even, odd).permute(0, 3, 1, 2)
    u = 1 / (1 + torch.exp(-logit))
    log_normal = -0.5 * (eps**2 + math.log(2 * math.pi)).sum(dim=(1, 2, 3))
    return u, log_normal - log_det - torch.log(u * (1 - u)).sum(dim=(1, 2, 3))


def _model(variant: str, uniform: bool = False, dropout: float = 0.5) -> FlowPP:
    torch.manual_seed(0)
    settings = {
        "width": 4,
        "num_blocks": BLOCKS,
        "num_components": COMPONENTS,
        "heads": HEADS,
        "dropout": dropout,
        **VARIANTS[variant],
    }
    dequantization = None
    if not uniform:
        dequantization = FlowPPDequantization(
            SHAPE,
            LEVELS,
            num_couplings=2,
            context_width=4,
            context_blocks=BLOCKS,
            context_attention=CONTEXTS.get(variant),  # type: ignore[arg-type]
            **settings,
        )
    model = filled(FlowPP(SHAPE, LEVELS, LAYOUT, **settings, dequantization=dequantization))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".scale"):
                parameter.abs_()
    return model


@pytest.mark.parametrize("variant", VARIANTS)
def test_latents(variant: str) -> None:
    model, x = _model(variant, uniform=True), images(SHAPE, LEVELS)
    expected, _ = _flow(model.state_dict(), (x.double() + 0.5) / LEVELS, VARIANTS[variant])
    z = model.encode(x)
    torch.testing.assert_close(z, expected, rtol=1e-10, atol=1e-10)
    assert torch.equal(model.decode(z), x.to(torch.uint8))


def test_log_prob_with_uniform_noise() -> None:
    model, x = _model("cifar10", uniform=True), images(SHAPE, LEVELS)
    torch.manual_seed(3)
    log_p = model.log_prob(x)
    torch.manual_seed(3)
    _, expected = _flow(model.state_dict(), (x + torch.rand(x.shape, dtype=torch.float64)) / LEVELS, {})
    torch.testing.assert_close(log_p, expected - math.prod(SHAPE) * math.log(LEVELS), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("variant", VARIANTS)
def test_log_prob(variant: str, dropout: float) -> None:
    """With dropout in training mode: in the context, the noise and the flow, in this order."""
    model, x, settings = _model(variant), images(SHAPE, LEVELS), VARIANTS[variant]
    model.train(dropout > 0)
    w = model.state_dict()
    torch.manual_seed(3)
    log_p = model.log_prob(x)
    torch.manual_seed(3)
    eps = torch.randn(x.shape, dtype=torch.float64)
    u, log_q = _noise(w, x, eps, settings, CONTEXTS.get(variant), dropout)
    _, expected = _flow(w, (x + u) / LEVELS, settings, dropout)
    expected = expected - log_q - math.prod(SHAPE) * math.log(LEVELS)
    torch.testing.assert_close(log_p, expected, rtol=1e-10, atol=1e-10)


def test_mixture_and_its_inverse() -> None:
    """Of two components, one so narrow that its log-scale is kept at -7; the points lie within its width."""
    log_scales = torch.tensor([-9.0, 0.3], dtype=torch.float64)
    logits, means = torch.tensor([0.2, -0.5], dtype=torch.float64), torch.tensor([0.4, -0.3], dtype=torch.float64)
    x = torch.tensor([0.4005, 0.3992, -2.0, 3.0], dtype=torch.float64).view(4, 1, 1, 1)
    a, b = torch.tensor([0.7, -0.2], dtype=torch.float64)
    h = torch.cat((a.view(1), b.view(1), logits, means, log_scales)).view(1, 8, 1, 1).expand(4, -1, -1, -1)
    y, log_derivative = _logit_of_mixture(x, logits, means, log_scales)
    elementwise = MixtureLogistic(2)
    z, log_det = elementwise(x, h)
    torch.testing.assert_close(z, y * torch.exp(torch.tanh(a)) + b, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(log_det, log_derivative + torch.tanh(a), rtol=1e-10, atol=1e-10)
    back, log_det_back = elementwise.inverse(z, h)
    torch.testing.assert_close(back, x, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(log_det_back, -log_det, rtol=1e-8, atol=1e-8)


def test_norms_keep_their_scale_above_1e_10() -> None:
    """`tf.maximum(g, 1e-10)`."""
    model = _model("cifar10", uniform=True)
    with torch.no_grad():
        dict(model.named_parameters())["bijection.bijections.1.bijections.0.inner.bijections.0.scale"][1, 2, 3] = -0.5
    x = images(SHAPE, LEVELS)
    torch.manual_seed(3)
    log_p = model.log_prob(x)
    torch.manual_seed(3)
    _, expected = _flow(model.state_dict(), (x + torch.rand(x.shape, dtype=torch.float64)) / LEVELS, {})
    torch.testing.assert_close(log_p, expected - math.prod(SHAPE) * math.log(LEVELS), rtol=1e-10, atol=1e-10)


def test_initial_values() -> None:
    """Before the first batch: N(0, 0.05) weights, N(0, 0.01) positions, 1x1 convolutions the identity to 0.001.

    Of the CIFAR-10 model, with its order of couplings and its dropout.
    """
    torch.manual_seed(0)
    noise = FlowPPDequantization((4, 8, 8), LEVELS, width=16, num_blocks=1, num_components=4)
    model = FlowPP((4, 8, 8), LEVELS, width=16, num_blocks=1, num_components=4, dequantization=noise)
    matrices, positions = [], []
    for name, value in model.state_dict().items():
        if name.endswith("inner.weight"):
            matrices.append(value - torch.eye(len(value)))
        elif name.endswith("position"):
            assert float(value.std()) == pytest.approx(0.01, rel=0.15), name
            positions.append(tuple(value.shape[:2]))
        elif name.endswith(("scale", "_norm.weight")):
            assert (value == 1).all(), name
        elif name.endswith("weight"):
            assert float(value.std()) == pytest.approx(0.05, rel=0.15), name
            assert abs(float(value.mean())) < 0.01, name
        else:
            assert not value.any(), name
    assert len(matrices) == 2 * (4 + 9)
    assert positions == 4 * [(8, 4)] + 4 * [(8, 4)] + 2 * [(4, 4)] + 3 * [(4, 2)]  # noise, then 4, 2 and 3 couplings
    assert {module.p for module in model.modules() if isinstance(module, nn.Dropout)} == {0.2}
    assert float(torch.cat([m.flatten() for m in matrices]).std()) == pytest.approx(0.001, rel=0.05)


def test_first_batch_sets_norms_and_convolutions() -> None:
    """`init_normalization` and `conv2d` with `init`: of the first norm, and along the network of the first coupling."""
    torch.manual_seed(0)
    settings = {"width": 8, "num_blocks": 1, "num_components": COMPONENTS, "heads": HEADS}
    model = FlowPP(SHAPE, LEVELS, ("1 columns",), **settings).double().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = images(SHAPE, LEVELS, count=20)
    torch.manual_seed(3)
    initialize(model, lambda: model.log_prob(x))
    w = model.state_dict()
    torch.manual_seed(3)
    v = 0.05 + 0.9 * (x + torch.rand(x.shape, dtype=torch.float64)) / LEVELS
    even, odd = _columns(torch.log(v / (1 - v)).permute(0, 2, 3, 1))
    halves = torch.cat((even, odd), dim=3).permute(0, 3, 1, 2)
    var, mean = torch.var_mean(halves, dim=0, correction=0)
    stack = "bijection.bijections.1.inner.bijections"
    torch.testing.assert_close(w[f"{stack}.0.scale"], 1 / var.sqrt())
    torch.testing.assert_close(w[f"{stack}.0.bias"], -mean / var.sqrt())

    normed = ((halves - mean) / var.sqrt())[:, :2].permute(0, 2, 3, 1)
    given = torch.einsum("oi,bhwi->bhwo", w[f"{stack}.1.inner.weight"], normed)
    seen: dict[str, Tensor] = {}

    class Watched(_Official):
        def conv(self, x: Tensor, name: str) -> Tensor:
            seen[name.removeprefix(f"{stack}.3.net.")] = super().conv(x, name)
            return seen[name.removeprefix(f"{stack}.3.net.")]

    Watched(w, num_blocks=1).coupling(given, given, f"{stack}.3.net", {})
    init_scales = {
        "first": 1.0,
        "blocks.0.conv.first": 1.0,
        "blocks.0.conv.second": 0.1,
        "blocks.0.attention.first": 1.0,
        "blocks.0.attention.second": 0.1,
        "last": 0.1,
    }
    assert list(seen) == list(init_scales)
    for name, out in seen.items():
        var, mean = torch.var_mean(out, dim=(0, 1, 2), correction=0)
        torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-10, rtol=0)
        torch.testing.assert_close(var.sqrt(), torch.full_like(var, init_scales[name]))
        weight, old = w[f"{stack}.3.net.{name}.weight"], before[f"{stack}.3.net.{name}.weight"]
        factor = (weight / old).flatten(1)
        torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))  # each channel's kernel was only scaled
        assert (factor > 0).all()
