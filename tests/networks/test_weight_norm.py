from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from genmodels.models.autoregressive.pixelcnnpp_resampling import Downsample2d, Upsample2d
from genmodels.networks.data_init import initialize, needs_initialization
from genmodels.networks.weight_norm import WeightNormConv2d


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _plain(pad: tuple[int, int, int, int], conv: nn.Module) -> nn.Module:
    return nn.Sequential(nn.ZeroPad2d(pad), conv)


def _cropped(conv: nn.Module) -> nn.Module:
    """The transposed convolution as the official code has it: a column cut off left and right, and the row below."""

    class Cropped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv

        def forward(self, x: Tensor) -> Tensor:
            size = (2 * x.shape[2] + 1, 2 * x.shape[3] + 2)
            return self.conv(x, output_size=size)[:, :, :-1, 1:-1]

    return Cropped()


LAYERS: dict[str, tuple[Callable[[], WeightNormConv2d], Callable[[], nn.Module]]] = {
    "left": (
        lambda: WeightNormConv2d(3, 5, (2, 2)),
        lambda: _plain((1, 0, 1, 0), nn.Conv2d(3, 5, (2, 2))),
    ),
    "around": (
        lambda: WeightNormConv2d(3, 5, (2, 3), "around"),
        lambda: _plain((1, 1, 1, 0), nn.Conv2d(3, 5, (2, 3))),
    ),
    "1x1": (lambda: WeightNormConv2d(3, 5), lambda: nn.Sequential(nn.Conv2d(3, 5, 1))),
    "down left": (
        lambda: Downsample2d(3, 5, (2, 2)),
        lambda: _plain((1, 0, 1, 0), nn.Conv2d(3, 5, (2, 2), stride=2)),
    ),
    "down around": (
        lambda: Downsample2d(3, 5, (2, 3), "around"),
        lambda: _plain((1, 1, 1, 0), nn.Conv2d(3, 5, (2, 3), stride=2)),
    ),
    "up left": (
        lambda: Upsample2d(3, 5, (2, 2)),
        lambda: nn.Sequential(nn.ConvTranspose2d(3, 5, (2, 2), stride=2)),
    ),
    "up around": (
        lambda: Upsample2d(3, 5, (2, 3), "around"),
        lambda: _cropped(nn.ConvTranspose2d(3, 5, (2, 3), stride=2)),
    ),
}


@pytest.mark.parametrize(("make", "make_reference"), LAYERS.values(), ids=LAYERS)
def test_equals_torchs_parametrization_in_value_and_gradient(
    make: Callable[[], WeightNormConv2d], make_reference: Callable[[], nn.Module]
) -> None:
    layer, reference = make().double(), make_reference().double()
    conv = next(m for m in reference.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d))
    transposed = isinstance(conv, nn.ConvTranspose2d)
    weight_norm(conv, dim=1 if transposed else 0)
    with torch.no_grad():
        layer.scale.uniform_(0.5, 2.0)
        layer.bias.normal_()
        g, v = conv.parametrizations.weight.original0, conv.parametrizations.weight.original1
        g.copy_(layer.scale.view(g.shape))
        v.copy_(layer.weight.transpose(0, 1) if transposed else layer.weight)
        conv.bias.copy_(layer.bias)
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64, requires_grad=True)
    ours, theirs = layer(x), reference(x)
    torch.testing.assert_close(ours, theirs)
    loss_weights = torch.randn_like(ours)
    got = torch.autograd.grad((ours * loss_weights).sum(), (x, layer.scale, layer.weight, layer.bias))
    expected = torch.autograd.grad((theirs * loss_weights).sum(), (x, g, v, conv.bias))
    for name, left, right in zip(("x", "scale", "weight", "bias"), got, expected, strict=True):
        torch.testing.assert_close(
            left, right.transpose(0, 1) if transposed and name == "weight" else right.view(left.shape)
        )


@pytest.mark.parametrize("make", [make for make, _ in LAYERS.values()], ids=LAYERS)
def test_the_first_batch_leaves_with_mean_zero_and_the_deviation_asked_for(
    make: Callable[[], WeightNormConv2d],
) -> None:
    layer = make().double()
    layer.init_scale = 0.1
    x = 3 + 2 * torch.randn(8, 3, 6, 8, dtype=torch.float64)
    initialize(layer, lambda: layer(x))
    out = layer(x)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(5, dtype=torch.float64), atol=1e-9, rtol=0)
    deviation = out.std((0, 2, 3), correction=0)
    torch.testing.assert_close(deviation, torch.full((5,), 0.1, dtype=torch.float64), atol=1e-6, rtol=0)


def test_layers_initialise_in_forward_order_each_on_what_the_one_before_gives() -> None:
    second = WeightNormConv2d(6, 4, (2, 2), init_scale=0.1)
    first = WeightNormConv2d(3, 6, (2, 3), "around")
    stack = nn.ModuleList([second, first])  # registered in the order in which they are not run
    x = 5 * torch.randn(16, 3, 8, 8) - 2

    def run() -> Tensor:
        return second(F.elu(first(x)))

    initialize(stack, run)
    assert not needs_initialization(stack)
    torch.testing.assert_close(run().std((0, 2, 3)), torch.full((4,), 0.1), atol=1e-3, rtol=0)
    torch.testing.assert_close(run().mean((0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)


def test_a_loaded_layer_is_not_initialised_again() -> None:
    layer, loaded = WeightNormConv2d(3, 5, (2, 2)), WeightNormConv2d(3, 5, (2, 2))
    x = torch.randn(4, 3, 6, 6)
    initialize(layer, lambda: layer(x))
    loaded.load_state_dict(layer.state_dict())
    initialize(loaded, lambda: loaded(100 * x))
    assert torch.equal(loaded(x), layer(x))


def test_initialises_anew_whatever_scale_and_bias_were() -> None:
    layer, other = WeightNormConv2d(3, 5, (2, 2)), WeightNormConv2d(3, 5, (2, 2))
    other.load_state_dict(layer.state_dict())
    nn.init.normal_(other.scale)
    nn.init.normal_(other.bias)
    x = torch.randn(4, 3, 6, 6)
    for one in (layer, other):
        initialize(one, lambda one=one: one(x))
    torch.testing.assert_close(other(x), layer(x))


def test_a_channel_that_is_constant_on_the_first_batch_is_not_blown_up() -> None:
    layer = WeightNormConv2d(3, 5, init_scale=0.1)
    with torch.no_grad():
        layer.weight[2, 1:] = 0.0
    x = torch.randn(8, 3, 6, 6)
    x[:, 0] = 0.7  # all that channel 2 sees
    initialize(layer, lambda: layer(x))
    torch.testing.assert_close(layer.scale[2].item(), 0.1)
    torch.testing.assert_close(layer(x)[:, 2], torch.zeros(8, 6, 6))
    assert (layer(x).std((0, 2, 3))[[0, 1, 3, 4]] > 0.09).all()


def test_a_kept_kernel_follows_its_parameters() -> None:
    layer = WeightNormConv2d(3, 5, (2, 2)).eval()
    x = torch.randn(2, 3, 6, 6)
    with torch.no_grad():
        before = layer(x)
        assert layer.kernel() is layer.kernel()
        layer.scale.mul_(2)
        torch.testing.assert_close(layer(x), 2 * before)
        layer.weight.neg_()  # the bias is zero
        torch.testing.assert_close(layer(x), -2 * before)
