"""A VAE that sees labels: each label has a distribution of its own, in the encoder and in the decoder."""

import itertools
import math

import pytest
import torch
from golden.fixed import filled
from torch import Tensor

from genmodels.distributions import Bernoulli, StandardNormal
from genmodels.errors import UserError
from genmodels.models import VAE, ConvNetworks, Diagonal, GatedMLPNetworks, MLPNetworks, Networks
from genmodels.models.log_weights import log_weights

CLASSES, SHAPE = 3, (1, 1, 3)
KINDS: dict[str, Networks] = {
    "mlp": MLPNetworks(8, 1),
    "gated_mlp": GatedMLPNetworks(8, 1),
    "conv": ConvNetworks(2, 4),
}
KIND = pytest.mark.parametrize("kind", KINDS)


def _model(kind: str, conditional: bool = True) -> VAE:
    """On three binary pixels, with networks whose answers to labels differ much."""
    torch.manual_seed(0)
    parts = KINDS[kind], Diagonal(2), StandardNormal([2]), Bernoulli(SHAPE, 2)
    model = VAE(SHAPE, 2, *parts, conditional, CLASSES)
    filled(model)
    with torch.no_grad():  # posteriors about as wide as the prior, so that few weights are large
        for parameter in model.encoder.parameters():
            parameter.mul_(0.5)
        for layer in model.decoder.modules():  # few of whose weights meet a pixel, and gates halve
            if isinstance(layer, torch.nn.ConvTranspose2d):
                layer.weight.mul_(6.5)
    return model


def _every_image() -> Tensor:
    return torch.tensor(list(itertools.product((0, 1), repeat=3)), dtype=torch.uint8).view(8, *SHAPE)


def _label(label: int, n: int = 8) -> Tensor:
    return torch.full((n,), label)


@torch.no_grad()
def _probabilities(model: VAE, y: Tensor | None) -> Tensor:
    """p(x | y) of every image by quadrature over z in [-6, 6]^2, [8]."""
    line = torch.linspace(-6, 6, 49, dtype=torch.double)
    z = torch.cartesian_prod(line, line)
    labels = None if y is None else y[:1].expand(len(z))
    joint = torch.stack([model.log_joint(x.expand(len(z), *SHAPE), z, labels) for x in _every_image()])
    return joint.exp().sum(dim=1) * float(line[1] - line[0]) ** 2


@KIND
def test_log_weights_of_every_label_average_to_its_own_distribution(kind: str) -> None:
    model, distributions = _model(kind), []
    for label in range(CLASSES):
        exact = _probabilities(model, _label(label))
        assert float(exact.sum()) == pytest.approx(1, abs=1e-6)
        with torch.no_grad():
            weights = log_weights(model, _every_image(), _label(label), 2_000, "test").exp()
        error = weights.std(dim=0) / 2_000**0.5
        assert ((weights.mean(dim=0) - exact).abs() < 5 * error).all()
        distributions.append(exact)
    for one, other in itertools.combinations(distributions, 2):
        assert (one - other).abs().sum() > 0.02


@KIND
def test_draws_of_examples_under_different_labels_keep_to_their_label(kind: str) -> None:
    model = _model(kind)
    x, y = _every_image(), torch.arange(8) % CLASSES
    terms = model.terms(x, y, samples=4)
    one_hot = torch.eye(CLASSES, dtype=torch.double)[y]
    mean, log_scale = model.encoder(x.double(), one_hot).chunk(2, dim=1)
    for k, z in enumerate(terms.latents[0]):
        log_q = torch.distributions.Normal(mean, log_scale.exp()).log_prob(z).sum(dim=1)
        log_p = -0.5 * z.square().sum(dim=1) - math.log(2 * math.pi)
        assert torch.allclose(terms.log_ratios[0][k, :, 0], log_q - log_p)
        logits = model.decoder(z, one_hot)
        log_likelihood = torch.distributions.Bernoulli(logits=logits).log_prob(x.double()).sum(dim=(1, 2, 3))
        assert torch.allclose(terms.log_likelihood[k], log_likelihood)


@KIND
def test_images_of_a_label_have_its_distribution(kind: str) -> None:
    model = _model(kind)
    y = torch.arange(9_000) % CLASSES
    drawn = model.sample(len(y), y)
    numbers = (drawn.flatten(1).long() * torch.tensor([4, 2, 1])).sum(dim=1)
    for label in range(CLASSES):
        exact = _probabilities(model, _label(label))
        found = numbers[y == label].bincount(minlength=8) / 3_000
        assert ((found - exact).abs() < 5 * (exact * (1 - exact) / 3_000).sqrt()).all()


@KIND
def test_without_labels_it_draws_all_of_them_alike(kind: str) -> None:
    model = _model(kind)
    mixture = torch.stack([_probabilities(model, _label(label)) for label in range(CLASSES)]).mean(dim=0)
    numbers = (model.sample(9_000).flatten(1).long() * torch.tensor([4, 2, 1])).sum(dim=1)
    found = numbers.bincount(minlength=8) / 9_000
    assert ((found - mixture).abs() < 5 * (mixture * (1 - mixture) / 9_000).sqrt()).all()


def test_labels_that_are_missing_or_play_no_part() -> None:
    with pytest.raises(UserError, match="class-conditional and the data has no labels"):
        _model("mlp").log_prob(_every_image())
    free = _model("mlp", conditional=False)
    z = free.encode(_every_image(), _label(0))
    assert torch.equal(z, free.encode(_every_image(), _label(1)))
    assert torch.equal(free.decode_mean(z, _label(0)), free.decode_mean(z, None))
