"""RealNVP by Dinh et al. 2017 (arXiv:1605.08803) and its official code (tensorflow/models, `real_nvp`)."""

import math
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.models import RealNVP
from golden.fixed import filled, images
from golden.running import with_running_averages

LEVELS, ALPHA, BLOCKS = 17, 0.05, 2
SHAPE = (2, 8, 8)

State = dict[str, Tensor]


@dataclass
class _Official:
    """`encoder` of the official code.

    Attributes:
        w: the weights.
        train: whether batch norms take the statistics of the batch.
    """

    w: State
    train: bool

    def batch_norm(self, x: Tensor, name: str) -> Tensor:
        """`batch_norm` without scale: eps 1e-4, a learned shift."""
        var, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        if not self.train:
            mean, var = self.w[f"{name}.running_mean"], self.w[f"{name}.running_var"]
        return (x - _channels(mean)) / torch.sqrt(_channels(var) + 1e-4) + _channels(self.w[f"{name}.bias"])

    def conv(self, x: Tensor, name: str, scale: bool = True, bias: bool = True) -> Tensor:
        """`conv_layer` with weight normalisation."""
        kernel = self.w[f"{name}.direction"]
        kernel = kernel / (kernel**2).sum(dim=(1, 2, 3), keepdim=True).sqrt()
        assert (f"{name}.magnitude" in self.w, f"{name}.bias" in self.w) == (scale, bias)
        if scale:
            kernel = kernel * self.w[f"{name}.magnitude"].view(-1, 1, 1, 1)
        return F.conv2d(x, kernel, self.w[f"{name}.bias"] if bias else None, padding=kernel.shape[-1] // 2)

    def resnet(self, x: Tensor, name: str, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Shift and the number whose tanh is taken."""
        x = self.batch_norm(x, f"{name}.norm_in")
        x = x if mask is None else 2 * x
        x = torch.cat((x.clamp(min=0), (-x).clamp(min=0)), dim=1)
        x = x if mask is None else torch.cat((x, mask.expand(len(x), 1, -1, -1)), dim=1)
        x = self.conv(x, f"{name}.conv_in", scale=False)
        out = self.conv(x, f"{name}.skips.0")
        for block in range(BLOCKS):
            inside = f"{name}.blocks.{block}"
            h = self.batch_norm(x, f"{inside}.norm_in").clamp(min=0)
            h = self.conv(h, f"{inside}.conv_in", scale=False, bias=False)
            h = self.conv(self.batch_norm(h, f"{inside}.norm_out").clamp(min=0), f"{inside}.conv_out")
            x = x + h
            out = out + self.conv(x, f"{name}.skips.{block + 1}")
        out = self.conv(self.batch_norm(out, f"{name}.norm_out").clamp(min=0), f"{name}.conv_out")
        shift, raw = out.split(out.shape[1] // 2, dim=1)
        return shift, raw

    def checkerboard(self, x: Tensor, coupling: str, given: Tensor) -> tuple[Tensor, Tensor]:
        """A coupling of the pixels that are not `given`, [H, W] of 0 and 1, and their batch norm."""
        shift, raw = self.resnet(x * given, f"{coupling}.bijections.0.net", given)
        log_scale = self.w[f"{coupling}.bijections.0.elementwise.scale"] * torch.tanh(raw)
        y = (x + shift) * torch.exp(log_scale)
        changed = y[:, :, given == 0]  # [B, C, pixels]; the official code averages over the zeros in between as well
        normed, half_log_var = self.normed(changed, f"{coupling}.bijections.1")
        out = x.clone()
        out[:, :, given == 0] = normed
        return out, (log_scale[:, :, given == 0] - half_log_var).sum(dim=(1, 2))

    def channels(self, x: Tensor, coupling: str, change_bottom: bool) -> tuple[Tensor, Tensor]:
        first, second = x.split(x.shape[1] // 2, dim=1)
        given, canvas = (first, second) if change_bottom else (second, first)
        shift, raw = self.resnet(given, f"{coupling}.bijections.0.net", None)
        log_scale = self.w[f"{coupling}.bijections.0.elementwise.scale"] * torch.tanh(raw)
        y = (canvas + shift) * torch.exp(log_scale)
        normed, half_log_var = self.normed(y.flatten(2), f"{coupling}.bijections.1.inner")
        normed = normed.view_as(y)
        out = torch.cat((given, normed) if change_bottom else (normed, given), dim=1)
        return out, (log_scale.flatten(2) - half_log_var).sum(dim=(1, 2))

    def normed(self, y: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """`batch_norm_log_diff`, eps 1e-4: [B, C, pixels] and, of each channel, log of the deviation, [C, 1]."""
        mean, var = y.mean(dim=(0, 2)), ((y - y.mean(dim=(0, 2), keepdim=True)) ** 2).mean(dim=(0, 2))
        if not self.train:
            mean, var = self.w[f"{name}.running_mean"], self.w[f"{name}.running_var"]
        half_log_var = 0.5 * torch.log(var + 1e-4)[:, None]
        return (y - mean[:, None]) * torch.exp(-half_log_var), half_log_var

    def scale(self, x: Tensor, name: str, remaining: int) -> tuple[Tensor, Tensor]:
        """`rec_masked_conv_coupling` with recursion_type 2."""
        batch, channels, height, width = x.shape
        log_det = torch.zeros(batch, dtype=x.dtype)
        even = ((torch.arange(height)[:, None] + torch.arange(width) + 1) % 2).to(x.dtype)
        for coupling in range(4 if remaining == 1 else 3):
            x, step = self.checkerboard(x, f"{name}.bijections.{coupling}", 1 - even if coupling % 2 else even)
            log_det = log_det + step
        if remaining == 1:
            return x, log_det
        x = x.view(batch, channels, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 2, 4)
        x = x.reshape(batch, 4 * channels, height // 2, width // 2)
        for coupling in range(3):
            x, step = self.channels(x, f"{name}.bijections.3.inner.bijections.{coupling}", coupling != 1)
            log_det = log_det + step
        x = x.view(batch, channels, 2, 2, height // 2, width // 2).permute(0, 1, 4, 2, 5, 3)
        x = x.reshape(batch, channels, height, width)
        kept = torch.cat((x[:, :, ::2, ::2], x[:, :, 1::2, 1::2]), dim=1)
        kept, rest = self.scale(kept, f"{name}.bijections.4.inner.bijections.0.inner", remaining - 1)
        out = x.clone()
        out[:, :, ::2, ::2], out[:, :, 1::2, 1::2] = kept[:, :channels], kept[:, channels:]
        return out, log_det + rest


def _channels(x: Tensor) -> Tensor:
    return x.view(1, -1, 1, 1)


def _log_p(w: State, v: Tensor, train: bool) -> tuple[Tensor, Tensor]:
    """The latents of pixels v in (0, 1), and log p(v)."""
    squeezed = ((2 * v - 1) * (1 - 2 * ALPHA) + 1) / 2
    volume = torch.log((1 - 2 * ALPHA) / (squeezed * (1 - squeezed))).sum(dim=(1, 2, 3))
    z, log_det = _Official(w, train).scale(torch.log(squeezed / (1 - squeezed)), "bijection.bijections.1", 3)
    normal = -0.5 * (z**2 + math.log(2 * math.pi)).sum(dim=(1, 2, 3))
    return z, normal + log_det + volume


@pytest.fixture
def model() -> RealNVP:
    torch.manual_seed(0)
    model = RealNVP(SHAPE, LEVELS, num_scales=3, width=3, num_blocks=BLOCKS)
    return with_running_averages(filled(model))


@pytest.mark.parametrize("train", [False, True], ids=["running averages", "batch statistics"])
def test_log_prob(model: RealNVP, train: bool) -> None:
    model.train(train)
    w = {name: value.clone() for name, value in model.state_dict().items()}
    x = images(SHAPE, LEVELS, count=5)
    torch.manual_seed(3)
    log_p = model.log_prob(x)
    torch.manual_seed(3)
    u = torch.rand(x.shape, dtype=torch.float64)
    _, expected = _log_p(w, (x + u) / LEVELS, train)
    torch.testing.assert_close(log_p, expected - math.prod(SHAPE) * math.log(LEVELS), rtol=1e-10, atol=1e-10)


def test_latents(model: RealNVP) -> None:
    x = images(SHAPE, LEVELS)
    expected, _ = _log_p(model.state_dict(), (x.double() + 0.5) / LEVELS, False)
    z = model.encode(x)
    torch.testing.assert_close(z, expected, rtol=1e-10, atol=1e-10)
    assert torch.equal(model.decode(z), x.to(torch.uint8))


def test_running_averages_take_a_tenth_of_the_batch(model: RealNVP) -> None:
    """`decay=.1` of `batch_norm_log_diff`; here of the first coupling, which changes the odd pixels."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = images(SHAPE, LEVELS, count=5)
    torch.manual_seed(3)
    model.train().log_prob(x)
    torch.manual_seed(3)
    v = (x + torch.rand(x.shape, dtype=torch.float64)) / LEVELS
    logit = torch.logit(ALPHA + (1 - 2 * ALPHA) * v)
    even = ((torch.arange(8)[:, None] + torch.arange(8) + 1) % 2).double()
    coupling = "bijection.bijections.1.bijections.0"
    shift, raw = _Official(before, True).resnet(logit * even, f"{coupling}.bijections.0.net", even)
    y = (logit + shift) * torch.exp(before[f"{coupling}.bijections.0.elementwise.scale"] * torch.tanh(raw))
    var, mean = torch.var_mean(y[:, :, even == 0], dim=(0, 2), correction=0)
    for name, of_batch in (("mean", mean), ("var", var)):
        name = f"{coupling}.bijections.1.running_{name}"
        torch.testing.assert_close(model.state_dict()[name], 0.9 * before[name] + 0.1 * of_batch)


def test_running_averages_inside_networks_take_a_tenth_of_the_batch(model: RealNVP) -> None:
    """`momentum=.1` of torch's batch norm; here of the first network's input, the variance the unbiased estimate."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = images(SHAPE, LEVELS, count=5)
    torch.manual_seed(3)
    model.train().log_prob(x)
    torch.manual_seed(3)
    v = (x + torch.rand(x.shape, dtype=torch.float64)) / LEVELS
    even = ((torch.arange(8)[:, None] + torch.arange(8) + 1) % 2).double()
    var, mean = torch.var_mean(torch.logit(ALPHA + (1 - 2 * ALPHA) * v) * even, dim=(0, 2, 3))
    for name, of_batch in (("mean", mean), ("var", var)):
        name = f"bijection.bijections.1.bijections.0.bijections.0.net.norm_in.running_{name}"
        torch.testing.assert_close(model.state_dict()[name], 0.9 * before[name] + 0.1 * of_batch)


def test_initial_values() -> None:
    """Those of `real_nvp_utils.conv_layer`, of the two kinds of couplings and of the batch norms."""
    torch.manual_seed(0)
    model = RealNVP((3, 8, 8), LEVELS, num_scales=2, width=32, num_blocks=1)
    w = model.state_dict()
    top = "bijection.bijections.1"
    for name, value in w.items():
        if name.endswith("elementwise.scale"):
            channelwise = name.startswith(f"{top}.bijections.3")
            assert float(value) == (1.0 if channelwise else 0.0), name
        elif name.endswith("direction"):
            stddev = math.sqrt(2 / value.shape[1])
            assert float(value.abs().max()) <= stddev, name
            assert float(value.std()) == pytest.approx(stddev / math.sqrt(3), rel=0.1), name
            magnitude = w.get(name.replace("direction", "magnitude"))
            if magnitude is not None:
                expected = stddev * math.sqrt(value[0].numel() / 12)
                torch.testing.assert_close(magnitude, torch.full_like(magnitude, expected))
        elif name.endswith("running_var"):
            assert (value == 1).all(), name
        elif not name.endswith("magnitude"):
            assert not value.any(), name


def test_widths_double_with_every_scale_and_again_after_every_squeeze() -> None:
    w = RealNVP((3, 8, 8), LEVELS, num_scales=2, width=4, num_blocks=1).state_dict()
    top = "bijection.bijections.1"
    first = ".bijections.0.net.conv_in.direction"
    shapes = {name[len(top) : -len(first)]: tuple(w[name].shape) for name in w if name.endswith(first)}
    assert shapes == {
        **{f".bijections.{i}": (4, 7, 3, 3) for i in range(3)},
        **{f".bijections.3.inner.bijections.{i}": (8, 12, 3, 3) for i in range(3)},
        **{f".bijections.4.inner.bijections.0.inner.bijections.{i}": (8, 13, 3, 3) for i in range(4)},
    }


def test_weight_decay_is_of_magnitudes_and_of_the_scales_of_checkerboard_couplings() -> None:
    model = RealNVP((3, 8, 8), LEVELS, num_scales=2, width=4, num_blocks=1)
    decayed = {id(parameter) for parameter in model.decayed_parameters()}
    top = "bijection.bijections.1"
    for name, parameter in model.named_parameters():
        of_checkerboard = name.endswith("elementwise.scale") and not name.startswith(f"{top}.bijections.3")
        assert (id(parameter) in decayed) == (name.endswith("magnitude") or of_checkerboard), name
