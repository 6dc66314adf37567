"""The kinds of encoders and decoders: their published sizes, how they start, and what depends on what."""

import math
from collections.abc import Callable

import pytest
import torch
from golden.fixed import filled
from model_configs import DATA, data_node, model_node
from torch import Tensor, nn

from genmodels.config.compose import CONFIG_DIR
from genmodels.config.targets import build
from genmodels.distributions import Bernoulli, StandardNormal
from genmodels.errors import UserError
from genmodels.models import VAE, ConvNetworks, Diagonal, GatedMLPNetworks, MLPNetworks, Networks, ResNetNetworks
from genmodels.networks.gated_conv import GatedConv2d, GatedConvTranspose2d
from genmodels.networks.gated_mlp import GatedLinear

CLASSES = 3
KINDS = {
    "mlp": MLPNetworks(8, 1),
    "gated_mlp": GatedMLPNetworks(8, 2),
    "conv": ConvNetworks(2, 8),
    "resnet": ResNetNetworks((2, 3), 8),
}
CONFIGS = sorted(file.stem for file in (CONFIG_DIR / "model" / "networks").glob("*.yaml"))
IMAGE_SETS = [name for name in DATA if data_node(name)["levels"] is not None]
SIZES = [(1, 1, 3), (1, 8, 8), (3, 9, 15), (2, 28, 28), (3, 33, 33), (3, 64, 64)]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_conv_has_the_parameters_of_sylvesters_model_without_a_flow() -> None:
    shape = (1, 28, 28)
    model = VAE(shape, 2, ConvNetworks(), Diagonal(64), StandardNormal([64]), Bernoulli(shape, 2))
    assert _count(model) == 3_067_105


def test_gated_mlp_has_the_parameters_of_vampprior() -> None:
    def linear(inputs: int, outputs: int) -> int:
        return (inputs + 1) * outputs

    def hidden(inputs: int) -> int:
        return 2 * linear(inputs, 300) + 2 * linear(300, 300)

    networks = GatedMLPNetworks()
    assert _count(networks.encoder((1, 28, 28), 80, 0)) == hidden(784) + 2 * linear(300, 40)
    assert _count(networks.decoder(40, (1, 28, 28), 0)) == hidden(40) + linear(300, 784)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_every_size_of_image_goes_in_and_comes_out(kind: str, shape: tuple[int, int, int]) -> None:
    encoder, decoder = KINDS[kind].encoder(shape, 5, 0), KINDS[kind].decoder(4, (7, *shape[1:]), 0)
    assert encoder(torch.rand(2, *shape), None).shape == (2, 5)
    assert decoder(torch.rand(2, 4), None).shape == (2, 7, *shape[1:])


def _dependence(outputs: Tensor, inputs: Tensor) -> Tensor:
    """Whether each output depends on each input, [outputs, inputs] of one example."""
    rows = [torch.autograd.grad(out, inputs, retain_graph=True)[0].flatten() for out in outputs.flatten()]
    return torch.stack(rows) != 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 7)], ids=str)
def test_all_features_depend_on_all_pixels_and_all_pixels_on_all_latents(
    kind: str, shape: tuple[int, int, int]
) -> None:
    networks = KINDS[kind]
    x, z, label = torch.rand(1, *shape), torch.randn(1, 4), torch.tensor([[0.0, 1.0, 0.0]])
    for inputs in (x, z, label):
        inputs.requires_grad_()
    features = filled(networks.encoder(shape, 5, CLASSES)).float()(x, label)
    params = filled(networks.decoder(4, shape, CLASSES)).float()(z, label)
    assert _dependence(features, x).all()
    assert _dependence(features, label).all()
    assert _dependence(params, z).all()
    assert _dependence(params, label).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_has_a_gradient(kind: str) -> None:
    shape = (1, 8, 8)
    encoder, decoder = KINDS[kind].encoder(shape, 5, CLASSES), KINDS[kind].decoder(4, shape, CLASSES)
    label = torch.eye(CLASSES)
    encoder(torch.rand(3, *shape), label).square().sum().backward()
    decoder(torch.randn(3, 4), label).square().sum().backward()
    for net in (encoder, decoder):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_gates_are_those_of_two_layers() -> None:
    x = torch.rand(2, 3, 5, 6)
    for layer in (GatedConv2d(3, 4, 3, 2, 1), GatedConvTranspose2d(3, 4, 3, 2, 1, (1, 0)), GatedLinear(6, 4)):
        inputs = x[:, 0, 0] if isinstance(layer, GatedLinear) else x
        linear, gate = layer.both(inputs)[:, :4], layer.both(inputs)[:, 4:]
        assert torch.allclose(layer(inputs), linear / (1 + torch.exp(-gate)), atol=1e-6)


def test_a_gated_convolution_starts_as_two_of_torchs() -> None:
    for gated, plain in (
        (GatedConv2d(20, 30, 5), nn.Conv2d(20, 30, 5)),
        (GatedConvTranspose2d(20, 30, 5), nn.ConvTranspose2d(20, 30, 5)),
    ):
        assert float((gated.both.weight.std() / plain.weight.std()).detach()) == pytest.approx(1, rel=0.02)
        for name in ("weight", "bias"):
            largest, expected = (getattr(layer, name).detach().abs().max() for layer in (gated.both, plain))
            assert float(largest / expected) == pytest.approx(1, rel=0.1)


def test_gated_perceptrons_start_by_he_et_al() -> None:
    net = GatedMLPNetworks(300, 2).encoder((1, 28, 28), 80, 0)
    for layer in (module for module in net.modules() if isinstance(module, nn.Linear)):
        assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(2 / layer.in_features), rel=0.02)


def test_convolutions_of_vectors_are_refused() -> None:
    with pytest.raises(UserError, match=r"^model/networks=conv needs images, but data\.shape=\[2\]; choose .*mlp$"):
        ConvNetworks().encoder((2,), 4, 0)


@pytest.mark.parametrize(
    ("networks", "size"),
    [
        (kind, size)
        for kind, last in ((GatedMLPNetworks, "num_hidden"), (ConvNetworks, "hidden_features"))
        for size in ("width", last)
    ],
)
def test_sizes_out_of_range_are_refused_by_their_key(networks: Callable[..., Networks], size: str) -> None:
    with pytest.raises(UserError, match=rf"^model\.networks\.{size} must be at least 1, got 0$"):
        networks(**{size: 0})


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("model", ["vae", "vae_small", "vae_2layer", "vae_2layer_small"])
def test_every_model_that_has_the_choice_takes_every_kind(model: str, kind: str) -> None:
    node = model_node(f"{model} model/networks={kind}", data_node("digits"))
    assert build(node, "model").sample(2).shape == (2, 1, 8, 8)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("data", IMAGE_SETS)
def test_every_kind_builds_on_every_image_set(kind: str, data: str) -> None:
    node = model_node(f"vae model/networks={kind}", data_node(data))
    with torch.device("meta"):
        model = build(node, "model")
        assert model.encoder(torch.rand(2, *model.shape), None).shape == (2, 100)
        assert model.decoder(torch.rand(2, 50), None).shape == (2, *model.likelihood.params_shape)
