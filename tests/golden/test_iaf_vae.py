"""IAF-VAE by its official code (github.com/openai/iaf: tf_train.py, tf_utils/layers.py), in float64."""

import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.distributions import DiscretizedLogistic
from genmodels.models import IAFVAE
from genmodels.networks.data_init import initialize
from golden.fixed import filled, images

LEVELS, WIDTH, LATENTS, BLOCKS = 256, 6, 3, 2


class _OfficialCode:
    """`CVAE1._forward`, which reads the parameters of the model by name.

    Args:
        w: the model's state.
        noise: of every layer's z, from the top down.
        initializes: whether each layer, like those of the code with `init=True`, first sets its scale and bias, in `w`.
    """

    def __init__(self, w: dict[str, Tensor], noise: Iterator[Tensor], depth: int, initializes: bool = False) -> None:
        self.w, self.noise, self.depth, self.initializes = w, noise, depth, initializes

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """log p(x | z) and the KL cost of each example [B], and the costs of each layer's channels [B, LATENTS]."""
        x = ((x.double() + 0.5) / 256.0).clamp(0.0, 1.0) - 0.5
        image = x
        h = self.conv(x, "stem", stride=2)
        for number in range(self.depth * BLOCKS):
            h = self.up(h, number)
        side = image.shape[-1] // 2**self.depth
        h = self.w["top"].view(1, -1, 1, 1).repeat(len(x), 1, side, side)
        costs = []
        for number in reversed(range(self.depth * BLOCKS)):
            h, cost = self.down(h, number)
            costs.append(cost.sum(dim=(2, 3)))
        x = self.deconv(F.elu(h), "head")
        x = x.clamp(-0.5 + 1 / 512.0, 0.5 - 1 / 512.0)
        scale = self.w["likelihood.log_scale"].exp()
        at = (torch.floor(image * 256) / 256 - x) / scale
        log_p = torch.log(torch.sigmoid(at + 1 / 256 / scale) - torch.sigmoid(at) + 1e-7).sum(dim=(1, 2, 3))
        return log_p, torch.stack([cost.sum(dim=1) for cost in costs]).sum(dim=0), costs

    def up(self, h: Tensor, number: int) -> Tensor:
        name, downsample = f"blocks.{number}", number > 0 and number % BLOCKS == 0
        x = self.conv(F.elu(h), f"{name}.up_first", stride=2 if downsample else 1)
        mean, log_sd, context, inner = x.split([LATENTS, LATENTS, WIDTH, WIDTH], dim=1)
        setattr(self, name, (mean, log_sd, context))
        inner = self.conv(F.elu(inner), f"{name}.up_second")
        if downsample:
            h = h[:, :, ::2, ::2]
        return h + 0.1 * inner

    def down(self, h: Tensor, number: int) -> tuple[Tensor, Tensor]:
        name, downsample = f"blocks.{number}", number > 0 and number % BLOCKS == 0
        x = self.conv(F.elu(h), f"{name}.down_first")
        p_mean, p_log_sd, r_mean, r_log_sd, down_context, h_det = x.split([LATENTS] * 4 + [WIDTH] * 2, dim=1)
        q_mean, q_log_sd, up_context = getattr(self, name)
        mean, log_variance = r_mean + q_mean, 2 * (r_log_sd + q_log_sd)
        z = mean + torch.exp(0.5 * log_variance) * next(self.noise)
        log_q = _gaussian(mean, log_variance, z)
        if f"{name}.step.last.weight" in self.w:
            ar_mean, ar_log_sd = self.ar_multiconv(z, up_context + down_context, f"{name}.step")
            z = (z - 0.1 * ar_mean) / torch.exp(0.1 * ar_log_sd)
            log_q = log_q + 0.1 * ar_log_sd
        cost = log_q - _gaussian(p_mean, 2 * p_log_sd, z)
        inner = F.elu(torch.cat((z, h_det), dim=1))
        if downsample:
            h = h.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
            inner = self.deconv(inner, f"{name}.down_second")
        else:
            inner = self.conv(inner, f"{name}.down_second")
        return h + 0.1 * inner, cost

    def ar_multiconv(self, z: Tensor, context: Tensor, name: str) -> tuple[Tensor, Tensor]:
        x = F.elu(self.conv(z, f"{name}.first", 1, _mask(LATENTS, WIDTH, False), 1.0) + context)
        for number in range(sum(key.startswith(f"{name}.hidden") and key.endswith("weight") for key in self.w)):
            x = F.elu(self.conv(x, f"{name}.hidden.{number}", 1, _mask(WIDTH, WIDTH, False), 1.0))
        out = self.conv(x, f"{name}.last", 1, _mask(WIDTH, LATENTS, True).repeat(2, 1, 1, 1), 1.0)
        return out[:, :LATENTS], out[:, LATENTS:]

    def conv(
        self, x: Tensor, name: str, stride: int = 1, mask: Tensor | None = None, init_scale: float = 0.1
    ) -> Tensor:
        v = self.w[f"{name}.weight"]
        if mask is not None:
            v = v * mask
        size = v.shape[2]
        if stride == 2:  # TensorFlow's SAME, of even sides
            x = F.pad(x, (size // 2 - 1, size // 2) * 2)
        padding = size // 2 if stride == 1 else 0
        unit = v / v.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
        return self.scaled(F.conv2d(x, unit, stride=stride, padding=padding), name, init_scale)

    def deconv(self, x: Tensor, name: str) -> Tensor:
        """Pixel (i, j) adds its kernel to the image from row 2i - 1 and column 2j - 1 on, of a 3x3 one from 2i and 2j.

        The kernel is normalised for each output channel, where the code does it for each input channel.
        """
        v = self.w[f"{name}.weight"]
        unit = v / v.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
        size, side = v.shape[2], x.shape[2]
        out = x.new_zeros(len(x), len(v), 2 * side + size, 2 * side + size)
        for i in range(side):
            for j in range(side):
                pixel = torch.einsum("bi,oihw->bohw", x[:, :, i, j], unit)
                out[:, :, 2 * i : 2 * i + size, 2 * j : 2 * j + size] += pixel
        first = 1 if size == 5 else 0
        return self.scaled(out[:, :, first : first + 2 * side, first : first + 2 * side], name, 0.1)

    def scaled(self, out: Tensor, name: str, init_scale: float) -> Tensor:
        """With its scale and bias; the code has exp(g) for the scale and starts g at a third of what it should be."""
        if self.initializes:
            mean, variance = out.mean(dim=(0, 2, 3)), out.var(dim=(0, 2, 3), correction=0)
            self.w[f"{name}.scale"] = init_scale / (variance + 1e-10).sqrt()
            self.w[f"{name}.bias"] = -mean * self.w[f"{name}.scale"]
        return out * self.w[f"{name}.scale"].view(-1, 1, 1) + self.w[f"{name}.bias"].view(-1, 1, 1)


def _gaussian(mean: Tensor, log_variance: Tensor, z: Tensor) -> Tensor:
    return -0.5 * (math.log(2 * math.pi) + log_variance + (z - mean).square() / log_variance.exp())


def _mask(n_in: int, n_out: int, zero_diagonal: bool) -> Tensor:
    """`get_conv_ar_mask`, with output channels first."""
    linear = torch.ones(n_in, n_out)
    if n_out >= n_in:
        k = n_out // n_in
        for i in range(n_in):
            linear[i + 1 :, i * k : (i + 1) * k] = 0
            if zero_diagonal:
                linear[i : i + 1, i * k : (i + 1) * k] = 0
    else:
        k = n_in // n_out
        for i in range(n_out):
            linear[(i + 1) * k :, i : i + 1] = 0
            if zero_diagonal:
                linear[i * k : (i + 1) * k, i : i + 1] = 0
    mask = torch.ones(3, 3, n_in, n_out)
    mask[:1] = 0
    mask[1, :1] = 0
    mask[1, 1] = linear
    return mask.permute(3, 2, 0, 1).double()


def _model(depth: int, iaf: bool, num_hidden: int = 2) -> IAFVAE:
    shape = (3, 16, 16)
    likelihood = DiscretizedLogistic(shape, LEVELS, tails=False)
    return filled(IAFVAE(shape, likelihood, depth, BLOCKS, WIDTH, LATENTS, iaf, num_hidden))


def _noise(depth: int, rows: int) -> Iterator[Tensor]:
    """What the model draws after `torch.manual_seed(0)`."""
    for scale in reversed(range(depth)):
        for _ in range(BLOCKS):
            # Draws depend on the layout in memory, in which the channels are innermost.
            maps = torch.empty(rows, LATENTS, 8 // 2**scale, 8 // 2**scale, dtype=torch.float64)
            yield torch.randn_like(maps.contiguous(memory_format=torch.channels_last))


@pytest.mark.parametrize(("iaf", "num_hidden"), [(False, 1), (True, 1), (True, 2), (True, 3)])
@pytest.mark.parametrize("depth", [1, 2])
def test_log_weights_and_costs_are_the_official_codes(depth: int, iaf: bool, num_hidden: int) -> None:
    model, x = _model(depth, iaf, num_hidden), images((3, 16, 16), LEVELS)
    torch.manual_seed(0)
    log_p, kl, costs = _OfficialCode(model.state_dict(), _noise(depth, 2), depth)(x)
    torch.manual_seed(0)
    terms = model.terms(x)
    torch.testing.assert_close(terms.log_weights[0], log_p - kl, rtol=1e-12, atol=1e-10)
    torch.testing.assert_close(terms.log_likelihood[0], log_p, rtol=1e-12, atol=1e-10)
    for got, expected in zip(terms.log_ratios, costs, strict=True):
        torch.testing.assert_close(got[0], expected, rtol=1e-11, atol=1e-10)
    torch.manual_seed(0)
    torch.testing.assert_close(model.log_prob(x), log_p - kl, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("depth", [1, 2])
def test_the_first_batch_initialises_as_the_official_code(depth: int) -> None:
    """Except for channels that are constant on it: those that see the top, which is nought in the code."""
    model, x = _model(depth, iaf=True), images((3, 16, 16), LEVELS, count=8)
    official = _OfficialCode(dict(model.state_dict()), _noise(depth, 8), depth, initializes=True)
    torch.manual_seed(0)
    official(x)
    torch.manual_seed(0)
    initialize(model, lambda: model.log_prob(x))
    for name, value in model.state_dict().items():
        if name.endswith((".scale", ".bias")):
            torch.testing.assert_close(value, official.w[name], rtol=1e-6, atol=1e-8, msg=name)


def test_weights_start_as_in_the_official_code() -> None:
    """V from N(0, 0.05); the top and all biases at nought. The likelihood's log s starts at -2, in the code at 0."""
    torch.manual_seed(0)
    model = IAFVAE((3, 32, 32), DiscretizedLogistic((3, 32, 32), 256), num_blocks=1)
    for name, parameter in model.named_parameters():
        if name.endswith(".weight"):
            assert parameter.std().item() == pytest.approx(0.05, rel=0.1), name
            assert abs(parameter.mean().item()) < 0.005, name
        elif name == "likelihood.log_scale":
            assert parameter.item() == -2.0
        else:
            assert (parameter == (1.0 if name.endswith(".scale") else 0.0)).all(), name
