"""What every pair of generator and critic promises; a new one joins by being listed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.models import DCGAN, GAN, SNGAN, WGAN, BigGAN, WGANGPResNet
from genmodels.models.gans.adversarial_model import AdversarialModel
from genmodels.networks.spectral import PRODUCTS
from genmodels.networks.standing_statistics import has_batch_norm

SHAPE, LEVELS, CLASSES = (2, 8, 12), 17, 3

Make = Callable[..., AdversarialModel]
CLASSED: dict[str, Any] = {"conditional": True, "num_classes": CLASSES}
SHARED: dict[str, Any] = {"shared_embedding": 5, "hierarchical": True, "attention": 4, "num_scales": 2}

PAIRS: dict[str, tuple[Make, dict[str, Any]]] = {
    "gan": (GAN, {"num_latents": 6, "width": 16}),
    "gan of classes": (GAN, {"num_latents": 6, "width": 16, **CLASSED}),
    "dcgan": (DCGAN, {"num_latents": 6, "width": 8, "num_scales": 2}),
    "dcgan without norm": (DCGAN, {"num_latents": 6, "width": 8, "critic_norm": "none", "latent": "uniform"}),
    "wgan": (WGAN, {"num_latents": 6, "width": 8, "critic_norm": "batch"}),
    "wgan_gp": (WGAN, {"num_latents": 6, "width": 8}),
    "wgan_gp_resnet": (WGANGPResNet, {"num_latents": 6, "width": 8}),
    "sngan": (SNGAN, {"num_latents": 6, "width": 8, "critic_width": 6}),
    "sngan of classes": (SNGAN, {"num_latents": 6, "width": 8, "critic_width": 6, **CLASSED}),
    "biggan": (BigGAN, {"num_latents": 6, "width": 8, "num_classes": CLASSES}),
    "biggan without classes": (BigGAN, {"num_latents": 6, "width": 8, "conditional": False}),
    "biggan with all": (BigGAN, {"num_latents": 6, "width": 8, "num_classes": CLASSES, **SHARED}),
}
MIXING = {"dcgan", "wgan"}


def _pair(name: str, **changes: Any) -> AdversarialModel:
    """With weights that no initialisation has made equal."""
    torch.manual_seed(0)
    make, options = PAIRS[name]
    model = make(SHAPE, LEVELS, **{**options, **changes}).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def _batch(model: AdversarialModel, n: int = 4) -> tuple[Tensor, Tensor | None]:
    x = torch.rand(n, *SHAPE, dtype=torch.double) * 2 - 1
    return x, torch.arange(n) % CLASSES if model.num_classes else None


@pytest.mark.parametrize("name", PAIRS)
def test_images_are_between_minus_one_and_one_and_scores_are_one_for_each(name: str) -> None:
    model = _pair(name)
    x, y = _batch(model)
    for training in (True, False):
        model.train(training)
        images = model.generate(model.latents(4), y)
        assert images.shape == x.shape
        assert float(images.detach().abs().max()) <= 1
        assert float(images.detach().std()) > 0.01
        assert model.discriminator(images, y).shape == (4,)
    samples = model.sample(5)
    assert (samples.shape, samples.dtype) == ((5, *SHAPE), torch.uint8)
    assert int(samples.max()) < LEVELS
    assert model.takes == ({"images"} if name[:3] != "gan" else {"images", "vectors"})


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("training", [True, False])
def test_a_score_is_that_of_its_own_image_unless_the_model_says_that_it_mixes(name: str, training: bool) -> None:
    model = _pair(name).train(training)
    x, y = _batch(model)
    (gradient,) = torch.autograd.grad(model.discriminator(x.requires_grad_(), y)[1], x)
    of_others = torch.cat((gradient[:1], gradient[2:]))
    assert float(gradient[1].abs().sum()) > 0
    assert model.mixes_batch == (name in MIXING)
    assert bool(of_others.any()) == (model.mixes_batch and training)


@pytest.mark.parametrize("name", [name for name in PAIRS if PAIRS[name][1].get("num_classes")])
def test_the_class_matters_to_both_networks(name: str) -> None:
    model = _pair(name)
    if name == "biggan without classes":
        assert model.num_classes == 0
        return
    model.eval()
    x, y = _batch(model)
    assert y is not None
    other = torch.cat(((y[:1] + 1) % CLASSES, y[1:]))
    z = model.latents(4)
    for first, second in (
        (model.generate(z, y), model.generate(z, other)),
        (model.discriminator(x, y), model.discriminator(x, other)),
    ):
        changed = (first - second).detach().abs().flatten(1 if first.dim() > 1 else 0)
        assert float(changed[0].max()) > 1e-6
        assert not changed[1:].any()
    with pytest.raises(UserError, match="class-conditional"):
        model.generate(z, None)


@pytest.mark.parametrize("name", PAIRS)
def test_in_evaluation_an_image_depends_on_its_own_latents_and_no_lagging_average(name: str) -> None:
    model = _pair(name)
    _, y = _batch(model)
    z = model.latents(4)
    one, two = (None, None) if y is None else (y[:1], y[:2])
    mixed = model.train().generate(z, y)[:1] - model.generate(z[:2], two)[:1]
    assert bool((mixed.detach().abs() > 1e-9).any()) == has_batch_norm(model.generator)
    with torch.no_grad():
        alone = model.eval().generate(z[:1], one)
        torch.testing.assert_close(alone, model.generate(z, y)[:1], rtol=1e-9, atol=1e-9)
        for buffer_name, buffer in model.generator.named_buffers():
            if buffer_name.endswith("running_mean"):
                buffer.add_(1.0)
        assert torch.equal(model.generate(z[:1], one), alone)
        model.statistics = "running"
        assert torch.equal(model.generate(z[:1], one), alone) != has_batch_norm(model.generator)


@pytest.mark.parametrize("name", PAIRS)
def test_samples_are_those_of_the_seed(name: str) -> None:
    model = _pair(name).eval()

    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return model.sample(6)

    first = drawn(1)
    assert torch.equal(first, drawn(1))
    assert not torch.equal(first, drawn(2))


@pytest.mark.parametrize("name", PAIRS)
def test_every_weight_learns(name: str) -> None:
    model = _pair(name).train()
    _, y = _batch(model)
    model.discriminator(model.generate(model.latents(4), y), y).square().sum().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert bool(parameter.grad.any()), parameter_name


@pytest.mark.parametrize("name", [name for name in PAIRS if name not in MIXING])
def test_the_gradient_of_a_score_can_be_trained_on(name: str) -> None:
    """As a gradient penalty does: second derivatives against differences of first ones."""
    model = _pair(name).eval()
    x, y = _batch(model, n=2)

    def slope() -> Tensor:
        v = x.clone().requires_grad_()
        return torch.autograd.grad(model.discriminator(v, y).sum(), v, create_graph=True)[0].square().sum()

    weight = next(p for p in model.discriminator.parameters() if p.dim() > 1)
    (gradient,) = torch.autograd.grad(slope(), weight)
    direction = torch.randn_like(weight)
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight.add_(direction, alpha=sign * 1e-6)
        values.append(slope().detach())
        with torch.no_grad():
            weight.add_(direction, alpha=-sign * 1e-6)
    measured = (values[0] - values[1]) / 2e-6
    torch.testing.assert_close((gradient * direction).sum(), measured, rtol=1e-4, atol=1e-6)


def _normalized(network: nn.Module) -> dict[str, Tensor]:
    """Weights under a spectral norm, as the layers use them."""
    return {
        name: part.weight.detach()
        for name, part in network.named_modules()
        if isinstance(part, PRODUCTS) and hasattr(part, "parametrizations")
    }


def _largest_singular_values(weights: dict[str, Tensor]) -> Tensor:
    return torch.stack([torch.linalg.svdvals(weight.flatten(1))[0] for weight in weights.values()])


@pytest.mark.parametrize("name", PAIRS)
def test_a_critic_with_spectral_norm_has_it_in_every_layer_from_the_start(name: str) -> None:
    torch.manual_seed(0)
    make, options = PAIRS[name]
    model = make(SHAPE, LEVELS, **{**options, "spectral_norm": True}).train()
    layers = [part for part in model.discriminator.modules() if isinstance(part, PRODUCTS)]
    weights = _normalized(model.discriminator)
    assert len(weights) == len(layers)
    assert not has_batch_norm(model.discriminator)
    at_first = _largest_singular_values(weights)
    assert float(at_first.min()) > 0.999
    assert float(at_first.max()) < 1.15, "fifteen iterations have been on these weights"

    with torch.no_grad():  # other weights, to which the training passes catch up
        for parameter in model.discriminator.parameters():
            parameter.add_(torch.randn_like(parameter))
    x, y = _batch(model)
    for _ in range(300):
        model.discriminator(x.float(), y)
    found = _largest_singular_values(_normalized(model.eval().discriminator))
    torch.testing.assert_close(found, torch.ones_like(found), rtol=2e-3, atol=0)


def test_bigans_generator_has_a_spectral_norm_but_in_its_embeddings() -> None:
    for name in ("biggan", "biggan with all"):
        generator = _pair(name).generator
        normalized = _normalized(generator)
        layers = {name: part for name, part in generator.named_modules() if isinstance(part, PRODUCTS)}
        assert set(normalized) == {name for name, part in layers.items() if not isinstance(part, nn.Embedding)}
        assert not _normalized(_pair("biggan", generator_spectral_norm=False).generator)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"shared_embedding": 4, "conditional": False}, "model.shared_embedding is one of classes"),
        ({"hierarchical": True}, "model.hierarchical=true needs model.shared_embedding"),
        ({"hierarchical": True, "shared_embedding": 4, "num_latents": 7}, "cannot be cut into 3 parts .* take 9"),
        ({"attention": 7}, r"model.attention=7 is no height .* take one of 4\."),
        ({"attention": 4, "num_scales": 1}, r"model.attention=4 is no height .* leave it at null\."),
    ],
)
def test_choices_of_biggan_that_do_not_go_together(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        BigGAN(SHAPE, LEVELS, **{"num_scales": 2, "width": 8, "num_latents": 6, "num_classes": CLASSES, **options})


def test_a_part_of_hierarchical_latents_reaches_its_block_alone() -> None:
    """What the smallest map's convolution makes of the first block depends on the first two parts of z."""
    model = _pair("biggan with all").eval()
    seen: list[Tensor] = []
    model.generator.get_submodule("blocks.0").register_forward_hook(lambda *call: seen.append(call[2].detach()))
    z, y = torch.randn(1, 6, dtype=torch.double).repeat(4, 1), torch.zeros(4, dtype=torch.long)
    for row, part in ((1, 0), (2, 1), (3, 2)):
        z[row, 2 * part] += 1
    model.generator(z, y)
    changed = [bool((seen[0][row] - seen[0][0]).abs().max() > 1e-9) for row in (1, 2, 3)]
    assert changed == [True, True, False]
