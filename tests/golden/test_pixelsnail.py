"""PixelSNAIL by its official code (github.com/neocxi/pixelsnail-public: model.py, nn.py), in float64."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.distributions import LogisticMixture
from genmodels.models import PixelSNAIL
from genmodels.networks.data_init import initialize
from golden.fixed import filled, images
from golden.scores import logistic_mixture

LEVELS, COMPONENTS, BLOCKS, RESNETS, WIDTH, KEY, VALUE, CLASSES, DROPOUT = 32, 2, 2, 2, 4, 3, 5, 3, 0.3
HEIGHT, IMAGE_WIDTH = 4, 5


class _OfficialCode:
    """`h12_noup_smallkey`, with parameters read from the model by name and concatenated channels in its order.

    Args:
        w: the model's state.
        dropout: probability.
        initializes: whether each layer, like those of the code with `init=True`, first sets its scale and bias, in `w`.
    """

    def __init__(self, w: dict[str, Tensor], dropout: float = 0.0, initializes: bool = False) -> None:
        self.w, self.dropout, self.initializes = w, dropout, initializes

    def __call__(self, x: Tensor, y: Tensor | None) -> Tensor:
        self.label = None if y is None else F.one_hot(y, CLASSES).double()
        x = 2 * x.double() / (LEVELS - 1) - 1
        rows = ((torch.arange(HEIGHT) - HEIGHT / 2) / HEIGHT).view(1, 1, -1, 1)
        columns = ((torch.arange(IMAGE_WIDTH) - IMAGE_WIDTH / 2) / IMAGE_WIDTH).view(1, 1, 1, -1)
        background = torch.cat((rows + 0 * x, columns + 0 * x), dim=1)
        x_pad = torch.cat((x, torch.ones_like(x[:, :1])), dim=1)
        above = self.conv(F.pad(x_pad, (1, 1, 0, 0)), "first.above")
        left = self.conv(F.pad(x_pad, (0, 0, 1, 0)), "first.left")
        ul = _down_shift(above) + _right_shift(left)
        for number in range(BLOCKS):
            block = f"blocks.{number}"
            for rep in range(RESNETS):
                ul = self.gated_resnet(ul, None, f"{block}.resnets.{rep}", (1, 0, 1, 0))
            raw_q = torch.cat((ul, background), dim=1)
            query = self.conv(self.gated_resnet(raw_q, None, f"{block}.attention.ask"), f"{block}.attention.query")
            raw_content = torch.cat((ul, background, x), dim=1)
            content = self.gated_resnet(raw_content, None, f"{block}.attention.see")
            key, mixin = self.conv(content, f"{block}.attention.key_value").split((KEY, VALUE), dim=1)
            ul = self.gated_resnet(ul, _causal_attention(key, mixin, query), f"{block}.attention.merge")
        return self.conv(F.elu(ul), "output")

    def gated_resnet(
        self, x: Tensor, a: Tensor | None, name: str, padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> Tensor:
        c1 = self.conv(F.pad(F.elu(x), padding), f"{name}.first")
        if a is not None:
            c1 = c1 + self.conv(F.elu(a), f"{name}.beside")
        c1 = F.elu(c1)
        if self.dropout:
            c1 = F.dropout(c1.contiguous(memory_format=torch.channels_last), self.dropout)
        c2 = self.conv(F.pad(c1, padding), f"{name}.second", init_scale=0.1)
        if self.label is not None:
            c2 = c2 + (self.label @ self.w[f"{name}.label.weight"].T)[:, :, None, None]
        a, b = c2.chunk(2, dim=1)
        return x + a * torch.sigmoid(b)

    def conv(self, x: Tensor, name: str, init_scale: float = 1.0) -> Tensor:
        """With the kernel g V / |V|, and at the start g = init_scale / deviation, b = -mean * g."""
        v = self.w[f"{name}.weight"]
        out = F.conv2d(x, v / v.square().sum(dim=(1, 2, 3), keepdim=True).sqrt())
        if self.initializes:
            mean, variance = out.mean(dim=(0, 2, 3)), out.var(dim=(0, 2, 3), correction=0)
            self.w[f"{name}.scale"] = init_scale / (variance + 1e-10).sqrt()
            self.w[f"{name}.bias"] = -mean * self.w[f"{name}.scale"]
        return out * self.w[f"{name}.scale"][:, None, None] + self.w[f"{name}.bias"][:, None, None]


def _causal_attention(key: Tensor, mixin: Tensor, query: Tensor) -> Tensor:
    """Pixel after pixel; the first has nothing to look at and gets noughts."""
    key, mixin, query = (t.flatten(2) for t in (key, mixin, query))
    mixed = torch.zeros_like(mixin)
    for i in range(1, HEIGHT * IMAGE_WIDTH):
        dot = (query[:, :, i, None] * key[:, :, :i]).sum(dim=1) / math.sqrt(KEY)
        probs = dot.exp() / dot.exp().sum(dim=1, keepdim=True)
        mixed[:, :, i] = (probs[:, None] * mixin[:, :, :i]).sum(dim=2)
    return mixed.unflatten(2, (HEIGHT, IMAGE_WIDTH))


def _down_shift(x: Tensor) -> Tensor:
    return torch.cat((torch.zeros_like(x[:, :, :1]), x[:, :, :-1]), dim=2)


def _right_shift(x: Tensor) -> Tensor:
    return torch.cat((torch.zeros_like(x[:, :, :, :1]), x[:, :, :, :-1]), dim=3)


def _model(colours: int, conditional: bool = False, value_width: int = VALUE) -> PixelSNAIL:
    shape = (colours, HEIGHT, IMAGE_WIDTH)
    likelihood = LogisticMixture(shape, LEVELS, COMPONENTS)
    return filled(
        PixelSNAIL(shape, likelihood, BLOCKS, RESNETS, WIDTH, KEY, value_width, DROPOUT, conditional, CLASSES)
    )


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("gradient", [False, True])
def test_conditionals_and_likelihood_are_the_official_codes(colours: int, conditional: bool, gradient: bool) -> None:
    model = _model(colours, conditional)
    x, y = images(model.shape, LEVELS), torch.tensor([2, 0]) if conditional else None
    expected = _OfficialCode(model.state_dict())(x, y)
    with torch.set_grad_enabled(gradient):
        torch.testing.assert_close(model.conditionals(x, y), expected, rtol=1e-9, atol=1e-9)
        score = logistic_mixture(expected, x, LEVELS)
        torch.testing.assert_close(model.log_prob(x, y), score, rtol=1e-9, atol=1e-9)


def test_dropout_lies_before_the_second_convolution_of_every_block() -> None:
    model, x = _model(3).train(), images((3, HEIGHT, IMAGE_WIDTH), LEVELS)
    torch.manual_seed(0)
    expected = _OfficialCode(model.state_dict(), DROPOUT)(x, None)
    torch.manual_seed(0)
    torch.testing.assert_close(model.conditionals(x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("conditional", [False, True])
def test_the_first_batch_initialises_as_the_official_code(conditional: bool) -> None:
    model = _model(3, conditional)
    x, y = images(model.shape, LEVELS, count=8), torch.arange(8) % 3 if conditional else None
    official = _OfficialCode(dict(model.state_dict()), initializes=True)
    official(x, y)
    initialize(model, lambda: model.conditionals(x, y))
    for name, value in model.state_dict().items():
        if name.endswith((".scale", ".bias")):
            torch.testing.assert_close(value, official.w[name], rtol=1e-7, atol=1e-7, msg=name)


def test_weights_start_as_in_the_official_code() -> None:
    """V and what takes the label from N(0, 0.05), g = 1, b = 0; values have half the width."""
    torch.manual_seed(0)
    shape = (3, 8, 8)
    model = PixelSNAIL(shape, LogisticMixture(shape, LEVELS), 1, 1, 64, conditional=True, num_classes=10)
    for name, parameter in model.named_parameters():
        if name.endswith(".weight"):
            assert parameter.std().item() == pytest.approx(0.05, rel=0.1), name
            assert abs(parameter.mean().item()) < 0.005, name
        else:
            assert (parameter == (1.0 if name.endswith(".scale") else 0.0)).all(), name
    assert model.blocks[0].attention.merge.beside.weight.shape == (64, 32, 1, 1)
