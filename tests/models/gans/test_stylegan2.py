"""StyleGAN2: sizes, styles and noise, the average style and truncation."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.models import StyleGAN2
from genmodels.randomness import seeded

CPU = torch.device("cpu")


def small(**options: float | None) -> StyleGAN2:
    torch.manual_seed(0)
    return StyleGAN2((1, 8, 8), 17, 64, 8, 6, 7, **options)  # type: ignore[arg-type]


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("conditional", "generator", "critic"), [(True, 20_215_315, 23_089_664), (False, 19_947_539, 20_720_641)]
)
def test_counts_for_cifar10_are_those_of_the_ada_code(conditional: bool, generator: int, critic: int) -> None:
    with torch.device("meta"):
        model = StyleGAN2((3, 32, 32), 256, conditional=conditional, num_classes=10)
    assert (count(model.generator), count(model.discriminator)) == (generator, critic)


@pytest.mark.parametrize(("side", "bottom"), [(4, 4), (8, 4), (28, 7), (32, 4), (40, 5), (64, 4)])
def test_images_are_halved_to_the_bottom(side: int, bottom: int) -> None:
    model = StyleGAN2((2, side, side), 256, 64, 4, 3, 3)
    assert model.generator.constant.shape[1:] == (bottom, bottom)
    x = model.generate(model.latents(2))
    assert x.shape == (2, 2, side, side)
    assert model.discriminator(x).shape == (2,)


@pytest.mark.parametrize(
    ("shape", "sentence"), [((1, 8, 16), "needs square images"), ((1, 33, 33), "stops at 33x33"), ((1, 2, 2), "2x2")]
)
def test_other_images_are_refused(shape: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        StyleGAN2(shape, 256)


def noisy() -> StyleGAN2:
    model = small()
    for name, parameter in model.named_parameters():
        if name.endswith("strength"):
            parameter.data.fill_(0.5)
    return model


def test_noise_is_drawn_but_in_decode() -> None:
    model = noisy().eval()
    z = model.latents(3)
    assert not torch.equal(model.generate(z), model.generate(z))
    assert torch.equal(model.decode(z), model.decode(z))
    pictures = []
    for _ in range(2):
        with seeded(3, CPU):
            pictures.append(model.sample(3))
    assert torch.equal(*pictures)


def test_noise_is_one_channel_for_each_image_and_layer() -> None:
    model = noisy().eval()
    layer = model.generator.blocks[1].layers[0]
    x, w = torch.randn(1, 8, 4, 4), torch.randn(1, 7)
    quiet, loud = (_without_activation(layer, x.repeat(2, 1, 1, 1), w.repeat(2, 1), s) for s in (0.0, 0.5))
    added = loud - quiet
    assert torch.allclose(added, added[:, :1].expand_as(added), atol=1e-6)
    assert not torch.allclose(added[0], added[1], atol=1e-3)
    assert added[:, 0].std().item() == pytest.approx(0.5, rel=0.2)


def _without_activation(layer: nn.Module, x: Tensor, w: Tensor, strength: float) -> Tensor:
    layer.strength.data.fill_(strength)  # type: ignore[union-attr, operator]
    y = layer(x, w, "random") / 2**0.5
    return torch.where(y > 0, y, 5 * y)


def test_mixed_batches_have_two_styles_with_one_cut() -> None:
    model = small(mixing=1.0)
    z = model.latents(3)
    cuts = set()
    for _ in range(40):
        w = model.styles(z)
        same = [bool(torch.equal(w[:, index], w[:, 0])) for index in range(4)]
        assert w.shape == (3, 4, 7)
        assert torch.equal(w[:, 0], model.eval().styles(z)[:, 0])
        assert torch.equal(w[:, -1], w[:, same.index(False)])
        cuts.add(same.index(False))
        model.train()
    assert cuts == {1, 2, 3}
    assert torch.equal(*(model.eval().styles(z)[:, index] for index in (0, 3)))


def test_a_share_of_the_batches_is_mixed() -> None:
    model = small(mixing=0.3)
    z = model.latents(1)
    mixed = sum(not torch.equal(w[:, 0], w[:, 3]) for w in (model.styles(z) for _ in range(300)))
    assert 60 <= mixed <= 120


def test_the_average_style_follows_training_alone() -> None:
    model = small(average_decay=0.9, mixing=1.0)
    z = model.latents(50)
    w = model.eval().styles(z)[:, 0]
    assert not model.generator.average.any()
    model.train().generate(z)
    assert torch.allclose(model.generator.average, 0.1 * w.mean(dim=0), atol=1e-7)
    model.generate(z)  # without the styles that are mixed in
    assert torch.allclose(model.generator.average, 0.19 * w.mean(dim=0), atol=1e-7)
    assert "generator.average" in model.state_dict()


def test_truncation_moves_styles_towards_the_average() -> None:
    model = small().eval()
    model.generator.average.normal_()
    mean = model._as_data(model.synthesize(model.generator.average.expand(1, 4, 7)))
    drawn = _drawn(model, 0.0)
    assert torch.equal(drawn, mean.expand_as(drawn))
    assert torch.equal(_drawn(model, 1.0), _drawn(model, None))

    def halfway(z: Tensor) -> Tensor:
        return (model.styles(z) + model.generator.average) / 2

    assert torch.equal(_drawn(model, 0.5), _drawn_from(model, halfway))


def _drawn(model: StyleGAN2, truncation: float | None) -> Tensor:
    with seeded(0, CPU):
        return model.sample(4, truncation=truncation)


def _drawn_from(model: StyleGAN2, styles: Callable[[Tensor], Tensor]) -> Tensor:
    with seeded(0, CPU):
        return model._as_data(model.synthesize(styles(model.latents(4))))


def test_another_temperature_is_refused() -> None:
    with pytest.raises(UserError, match=r"temperature=0\.7 changes nothing"):
        small().sample(2, temperature=0.7)


def test_the_critic_sees_the_batch() -> None:
    """More variety, another score: what samples that are all alike are betrayed by."""
    model = small()
    x = torch.randn(4, 1, 8, 8)
    assert model.mixes_batch
    alone = model.discriminator(x[:1].repeat(4, 1, 1, 1))
    assert not torch.allclose(alone[0], model.discriminator(x)[0], atol=1e-4)
