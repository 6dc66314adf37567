"""PixelCNN++ by its official code (github.com/openai/pixel-cnn: model.py, nn.py), in float64."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.distributions import LogisticMixture
from genmodels.models import PixelCNNPP
from genmodels.networks.data_init import initialize
from golden.fixed import filled, images
from golden.scores import logistic_mixture

LEVELS, COMPONENTS, RESNETS, WIDTH, CLASSES, DROPOUT = 256, 2, 2, 4, 3, 0.3


class _OfficialCode:
    """`model_spec`, which reads the parameters of the model by name.

    Args:
        w: the model's state.
        kept: for every block the numbers that dropout, of probability DROPOUT, keeps; None without.
        initializes: whether each layer, like those of the code with `init=True`, first sets its scale and bias, in `w`.
    """

    def __init__(self, w: dict[str, Tensor], kept: dict[str, Tensor] | None = None, initializes: bool = False) -> None:
        self.w, self.kept, self.initializes = w, kept, initializes

    def __call__(self, x: Tensor, y: Tensor | None) -> Tensor:
        self.label = None if y is None else F.one_hot(y, CLASSES).double()
        x = 2 * x.double() / (LEVELS - 1) - 1
        x_pad = torch.cat((x, torch.ones_like(x[:, :1])), dim=1)
        u_list = [_down_shift(self.down_shifted(x_pad, "first_u"))]
        above, left = self.down_shifted(x_pad, "first_above"), self.down_right_shifted(x_pad, "first_left")
        ul_list = [_down_shift(above) + _right_shift(left)]

        scales = ["", "smaller.", "smaller.smaller."]
        for scale in scales:
            if scale:
                before = scale.removesuffix("smaller.")
                u_list.append(self.down_shifted(u_list[-1], f"u.{before}shrink", stride=2))
                ul_list.append(self.down_right_shifted(ul_list[-1], f"ul.{before}shrink", stride=2))
            for rep in range(RESNETS):
                u_list.append(self.gated_resnet(u_list[-1], None, f"u.{scale}down.{rep}"))
                ul_list.append(self.gated_resnet(ul_list[-1], [u_list[-1]], f"ul.{scale}down.{rep}"))

        u, ul = u_list.pop(), ul_list.pop()
        for scale in reversed(scales):
            if scale != scales[-1]:
                u = self.down_shifted_deconv(u, f"u.{scale}grow")
                ul = self.down_right_shifted_deconv(ul, f"ul.{scale}grow")
            for rep in range(RESNETS + (scale != scales[-1])):
                u = self.gated_resnet(u, [u_list.pop()], f"u.{scale}up.{rep}")
                ul = self.gated_resnet(ul, [u, ul_list.pop()], f"ul.{scale}up.{rep}")
        assert not u_list
        assert not ul_list
        return self.conv(F.elu(ul), "last")

    def gated_resnet(self, x: Tensor, a: list[Tensor] | None, name: str) -> Tensor:
        conv = self.down_shifted if name.startswith("u.") else self.down_right_shifted
        c1 = conv(_concat_elu(x), f"{name}.first")
        if a is not None:  # the code activates all maps together, which numbers the channels differently
            c1 = c1 + self.conv(torch.cat([_concat_elu(each) for each in a], dim=1), f"{name}.beside")
        c1 = _concat_elu(c1)
        if self.kept:
            c1 = torch.where(self.kept[name], c1 / (1 - DROPOUT), 0.0)
        c2 = conv(c1, f"{name}.second", init_scale=0.1)
        if self.label is not None:
            c2 = c2 + (self.label @ self.w[f"net.{name}.label.weight"].T)[:, :, None, None]
        a, b = c2[:, :WIDTH], c2[:, WIDTH:]
        return x + a * torch.sigmoid(b)

    def down_shifted(self, x: Tensor, name: str, **kwargs: float) -> Tensor:
        height, width = self.w[f"net.{name}.weight"].shape[2:]
        assert (height, width) == ((1, 3) if name == "first_above" else (2, 3))
        return self.conv(F.pad(x, ((width - 1) // 2, (width - 1) // 2, height - 1, 0)), name, **kwargs)

    def down_right_shifted(self, x: Tensor, name: str, **kwargs: float) -> Tensor:
        height, width = self.w[f"net.{name}.weight"].shape[2:]
        assert (height, width) == ((2, 1) if name == "first_left" else (2, 2))
        return self.conv(F.pad(x, (width - 1, 0, height - 1, 0)), name, **kwargs)

    def down_shifted_deconv(self, x: Tensor, name: str) -> Tensor:
        """A 2x3 kernel; the code cuts off the row that is below the doubled map and a column on either side."""
        return self.normalized(name, lambda kernel: _spread(x, kernel)[:, :, :, 1 : 1 + 2 * x.shape[3]])

    def down_right_shifted_deconv(self, x: Tensor, name: str) -> Tensor:
        return self.normalized(name, lambda kernel: _spread(x, kernel))

    def conv(self, x: Tensor, name: str, stride: int = 1, init_scale: float = 1.0) -> Tensor:
        return self.normalized(name, lambda kernel: F.conv2d(x, kernel, stride=stride), init_scale)

    def normalized(self, name: str, convolved: Callable[[Tensor], Tensor], init_scale: float = 1.0) -> Tensor:
        """With the kernel g V / |V|, and at the start g = init_scale / deviation, b = -mean * g."""
        v = self.w[f"net.{name}.weight"]
        out = convolved(v / v.square().sum(dim=(1, 2, 3), keepdim=True).sqrt())
        if self.initializes:
            mean, variance = out.mean(dim=(0, 2, 3)), out.var(dim=(0, 2, 3), correction=0)
            self.w[f"net.{name}.scale"] = init_scale / (variance + 1e-10).sqrt()
            self.w[f"net.{name}.bias"] = -mean * self.w[f"net.{name}.scale"]
        g, b = self.w[f"net.{name}.scale"], self.w[f"net.{name}.bias"]
        return out * g[:, None, None] + b[:, None, None]


def _concat_elu(x: Tensor) -> Tensor:
    both = torch.cat((x, -x), dim=1)
    return torch.where(both > 0, both, both.exp() - 1)


def _down_shift(x: Tensor) -> Tensor:
    return torch.cat((torch.zeros_like(x[:, :, :1]), x[:, :, :-1]), dim=2)


def _right_shift(x: Tensor) -> Tensor:
    return torch.cat((torch.zeros_like(x[:, :, :, :1]), x[:, :, :, :-1]), dim=3)


def _spread(x: Tensor, kernel: Tensor) -> Tensor:
    """Pixel (i, j) times the kernel, added up at rows 2 i, 2 i + 1 and columns 2 j, 2 j + 1, ..."""
    height, width = x.shape[2:]
    out = x.new_zeros(len(x), len(kernel), 2 * height, 2 * width + kernel.shape[3])
    for i in range(height):
        for j in range(width):
            pixel = torch.einsum("bi,oihw->bohw", x[:, :, i, j], kernel)
            out[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + kernel.shape[3]] += pixel
    return out[..., : 2 * width + kernel.shape[3] - 2]


def _kept(batch: int) -> dict[str, Tensor]:
    """For every block what the project's dropout keeps: 16 random bits for each number, channels innermost.

    In the order in which it goes through the blocks, first all of u, then all of ul.
    """
    scales = [("", 8), ("smaller.", 4), ("smaller.smaller.", 2)]
    blocks = [(f"{scale}down.{rep}", side) for scale, side in scales for rep in range(RESNETS)]
    blocks += [(f"{scale}up.{rep}", side) for scale, side in reversed(scales) for rep in range(RESNETS + (side > 2))]
    kept = {}
    for name, side in [(f"{stream}.{block}", side) for stream in ("u", "ul") for block, side in blocks]:
        words = torch.empty(batch * side * side * 2 * WIDTH // 4, dtype=torch.int64)
        bits = words.random_(torch.iinfo(torch.int64).min, None).view(torch.int16)
        kept[name] = (bits >= round((DROPOUT - 0.5) * 2**16)).view(batch, side, side, 2 * WIDTH).permute(0, 3, 1, 2)
    return kept


def _model(colours: int, conditional: bool = False) -> PixelCNNPP:
    shape = (colours, 8, 8)
    likelihood = LogisticMixture(shape, LEVELS, COMPONENTS)
    return filled(PixelCNNPP(shape, likelihood, RESNETS, WIDTH, DROPOUT, conditional, CLASSES))


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("conditional", [False, True])
def test_conditionals_and_likelihood_are_the_official_codes(colours: int, conditional: bool) -> None:
    model = _model(colours, conditional)
    x, y = images(model.shape, LEVELS), torch.tensor([2, 0]) if conditional else None
    expected = _OfficialCode(model.state_dict())(x, y)
    with torch.no_grad():
        torch.testing.assert_close(model.conditionals(x, y), expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(model.conditionals(x, y), expected, rtol=1e-9, atol=1e-9)
    score = logistic_mixture(expected, x, LEVELS)
    torch.testing.assert_close(model.log_prob(x, y), score, rtol=1e-9, atol=1e-9)


def test_dropout_lies_between_the_second_activation_and_the_second_convolution_of_every_block() -> None:
    model, x = _model(3).train(), images((3, 8, 8), LEVELS)
    torch.manual_seed(0)
    expected = _OfficialCode(model.state_dict(), _kept(len(x)))(x, None)
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
    """V and what takes the label from N(0, 0.05), g = 1, b = 0."""
    torch.manual_seed(0)
    shape = (3, 8, 8)
    model = PixelCNNPP(shape, LogisticMixture(shape, LEVELS), 1, 64, conditional=True, num_classes=10)
    for name, parameter in model.named_parameters():
        if name.endswith(".weight"):
            assert parameter.std().item() == pytest.approx(0.05, rel=0.1), name
            assert abs(parameter.mean().item()) < 0.005, name
        else:
            assert (parameter == (1.0 if name.endswith(".scale") else 0.0)).all(), name
