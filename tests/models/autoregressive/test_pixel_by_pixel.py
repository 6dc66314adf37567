"""What holds for every autoregressive model of images. A new one joins by being listed in MODELS."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from genmodels.distributions import Bernoulli, Categorical, LogisticMixture, PixelLikelihood
from genmodels.models import (
    GPT,
    AutoregressiveModel,
    GatedPixelCNN,
    ImageMADE,
    ImageTransformer,
    MultiscalePixelCNN,
    PixelCNN,
    PixelCNNPP,
    PixelRNN,
    PixelSNAIL,
)
from genmodels.models.autoregressive.autoregressive_model import place_of
from genmodels.networks.data_init import initialize

LIKELIHOODS = {"bernoulli": Bernoulli, "categorical": Categorical, "logistic mixture": LogisticMixture}


@dataclass
class Case:
    """A model small enough to be looked into.

    Args:
        make: (shape, likelihood) -> model; its field should cover all of a 5x5 image, or of `shape`.
        likelihoods: that it works with, for images of three colours.
        smallest: a shape (C, H, W) of which all images can be enumerated.
        levels: of those images.
        shape: height and width on which dependence is looked at.
        blind: it does not see all that comes before.
    """

    make: Callable[[Sequence[int], PixelLikelihood], AutoregressiveModel]
    likelihoods: tuple[str, ...] = ("categorical", "logistic mixture")
    smallest: tuple[int, int, int] = (1, 3, 3)
    levels: int = 2
    shape: tuple[int, int] = (5, 5)
    blind: bool = False


MODELS = {
    "GatedPixelCNN": Case(lambda shape, likelihood: GatedPixelCNN(shape, likelihood, 3, 24, 3, 5, 48)),
    "GPT": Case(lambda shape, likelihood: GPT(shape, likelihood, 2, 8, 2), likelihoods=("categorical",)),
    "ImageTransformer": Case(
        lambda shape, likelihood: ImageTransformer(shape, likelihood, 2, 8, 12, 2, block_length=40)
    ),
    "ImageTransformer, short blocks": Case(
        lambda shape, likelihood: ImageTransformer(shape, likelihood, 2, 8, 12, 2, block_length=4), blind=True
    ),
    "ImageMADE": Case(
        lambda shape, likelihood: ImageMADE(shape, likelihood, [60, 60], num_orders=1), likelihoods=("categorical",)
    ),
    "MultiscalePixelCNN colour by colour": Case(
        lambda shape, likelihood: MultiscalePixelCNN(shape, likelihood, (shape[1] + 2) // 4, 1, 1, 12),
        likelihoods=("categorical",),
        smallest=(1, 2, 2),
        levels=5,
        shape=(8, 8),
        blind=True,
    ),
    "MultiscalePixelCNN": Case(
        lambda shape, likelihood: MultiscalePixelCNN(shape, likelihood, (shape[1] + 2) // 4, 1, 1, 12),
        likelihoods=("logistic mixture",),
        smallest=(1, 2, 2),
        levels=5,
        shape=(8, 8),
    ),
    "PixelCNN": Case(lambda shape, likelihood: PixelCNN(shape, likelihood, 2, 6, 6), blind=True),
    "PixelCNNPP": Case(
        lambda shape, likelihood: PixelCNNPP(shape, likelihood, shape[1] // 4, 3, dropout=0.0),
        likelihoods=("logistic mixture",),
        smallest=(1, 4, 4),
        shape=(8, 8),
    ),
    "PixelRNN diagonal": Case(lambda shape, likelihood: PixelRNN(shape, likelihood, "diagonal", 2, 6, 12), blind=True),
    "PixelRNN row": Case(lambda shape, likelihood: PixelRNN(shape, likelihood, "row", 2, 6, 12, skip=True), blind=True),
    "PixelSNAIL": Case(
        lambda shape, likelihood: PixelSNAIL(shape, likelihood, 2, 1, 6, 3), likelihoods=("logistic mixture",)
    ),
}

WITH_LIKELIHOOD = [
    pytest.param(case, LIKELIHOODS[likelihood], id=f"{name} {likelihood}")
    for name, case in MODELS.items()
    for likelihood in case.likelihoods
]
EVERY = [pytest.param(case, id=name) for name, case in MODELS.items()]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _lively(model: AutoregressiveModel) -> AutoregressiveModel:
    """In float64, initialised from data and with parameters large enough for pixels to matter to one another."""
    model = model.double()
    x = torch.randint(0, model.levels, (16, *model.shape))
    initialize(model, lambda: model.log_prob(x))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter)).mul_(1.5)
    return model.eval()


def _dependence(model: AutoregressiveModel) -> Tensor:
    """[C, H, W, C, H, W] of bool: whether the parameters of the first change with the value of the second."""
    channels, height, width = model.shape
    size = channels * height * width
    x = torch.randint(0, model.levels, model.shape)
    changed = x.repeat(size, 1, 1, 1).view(size, size)
    changed[torch.arange(size), torch.arange(size)] = (x.flatten() + model.levels // 2) % model.levels
    with torch.no_grad():
        params = model.conditionals(torch.cat((x[None], changed.view(size, *model.shape))))
    differs = (params[1:] - params[:1]).abs() > 1e-12
    if model.likelihood.conditions_colours:
        differs = differs.any(dim=1, keepdim=True).expand(-1, channels, -1, -1)
    else:
        differs = differs.unflatten(1, (-1, channels)).any(dim=1)
    return differs.permute(1, 2, 3, 0).reshape(*model.shape, *model.shape)


def _earlier(model: AutoregressiveModel) -> Tensor:
    """[C, H, W, C, H, W]: whether the second is drawn before the first."""
    return model.order[:, :, :, None, None, None] > model.order


@pytest.mark.parametrize(("case", "likelihood"), WITH_LIKELIHOOD)
def test_nothing_later_is_seen(case: Case, likelihood: type[PixelLikelihood]) -> None:
    shape = (3, *case.shape)
    model = _lively(case.make(shape, likelihood(shape, 4)))
    dependence = _dependence(model)
    assert not (dependence & ~_earlier(model)).any()
    assert dependence.any()


@pytest.mark.parametrize(("case", "likelihood"), WITH_LIKELIHOOD)
def test_everything_earlier_is_seen(case: Case, likelihood: type[PixelLikelihood]) -> None:
    shape = (3, *case.shape)
    model = _lively(case.make(shape, likelihood(shape, 4)))
    assert torch.equal(_dependence(model), _earlier(model)) is not case.blind


@pytest.mark.parametrize(("case", "likelihood"), WITH_LIKELIHOOD)
def test_gradients_flow_to_the_past_alone(case: Case, likelihood: type[PixelLikelihood]) -> None:
    """The same by autograd, which would find a dependence too small for the change of one value to show."""
    shape = (3, *case.shape)
    model = _lively(case.make(shape, likelihood(shape, 4)))
    x = torch.randint(0, 4, (1, *shape)).double().requires_grad_()
    params = model.conditionals(x)[0].unflatten(0, (-1, 1 if model.likelihood.conditions_colours else 3))
    if torch.autograd.grad(params.sum(), x, retain_graph=True, allow_unused=True)[0] is None:
        pytest.skip("values are looked up in a table, see test_transformers.py for gradients")
    earlier = _earlier(model)
    for colour, row, column in torch.cartesian_prod(*(torch.arange(n) for n in params.shape[1:])).tolist():
        (gradient,) = torch.autograd.grad(
            (params[:, colour, row, column] * torch.randn(len(params))).sum(), x, retain_graph=True, allow_unused=True
        )
        if gradient is not None:
            assert not (gradient[0][~earlier[colour, row, column]] != 0).any()


@pytest.fixture(scope="module", params=EVERY)
def enumerated(request: pytest.FixtureRequest) -> tuple[AutoregressiveModel, Tensor]:
    """A model of few images, and log p of them all."""
    torch.manual_seed(0)
    model = _smallest(request.param)
    return model, _all_log_probs(model)


def test_probabilities_of_all_images_sum_to_one(enumerated: tuple[AutoregressiveModel, Tensor]) -> None:
    _, log_p = enumerated
    assert log_p.exp().sum().item() == pytest.approx(1.0, abs=1e-9)


def test_samples_score_the_entropy_of_the_model(enumerated: tuple[AutoregressiveModel, Tensor]) -> None:
    model, log_p = enumerated
    entropy = -(log_p.exp() * log_p).sum()
    scores = -model.log_prob(model.sample(4000))
    assert abs(scores.mean() - entropy) < 4 * scores.std() / 4000**0.5


@pytest.mark.parametrize(("case", "likelihood"), WITH_LIKELIHOOD)
def test_all_ways_to_sample_draw_the_same_picture_from_the_same_noise(
    case: Case, likelihood: type[PixelLikelihood]
) -> None:
    shape = (3, *case.shape)
    model = _lively(case.make(shape, likelihood(shape, 7)))
    noise = torch.rand(3, model.likelihood.num_noises, *case.shape, dtype=torch.float64)
    given = torch.randint(0, 7, (3, *shape), dtype=torch.uint8)
    known = torch.arange(case.shape[0])[:, None].expand(case.shape) < 2
    for kept in ({}, {"given": given, "known": known}):
        for temperature in (1.0, 0.5):
            naive, cached, jacobi = (
                model.sample(3, temperature=temperature, noise=noise, method=method, **kept)
                for method in ("naive", "cached", "jacobi")
            )
            assert torch.equal(cached, naive)
            assert torch.equal(jacobi, naive)
            assert len(naive.unique()) > 3
            if kept:
                assert torch.equal(naive[:, :, :2], given[:, :, :2])
                assert not torch.equal(naive[:, :, 2:], given[:, :, 2:])


@pytest.mark.parametrize("case", EVERY)
def test_a_sample_from_a_model_in_training_is_without_dropout_and_leaves_it_in_training(case: Case) -> None:
    model = _smallest(case)
    noise = torch.rand(30, model.likelihood.num_noises, *model.shape[1:], dtype=torch.float64)
    expected = model.sample(30, noise=noise)
    model.train()
    assert torch.equal(model.sample(30, noise=noise), expected)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(("case", "likelihood"), WITH_LIKELIHOOD)
def test_nothing_kept_outlives_a_change_of_the_parameters(case: Case, likelihood: type[PixelLikelihood]) -> None:
    """Loaded states, and averages of weights that are swapped in as `EMA` does."""
    shape = (3, *case.shape)
    model, other = (_lively(case.make(shape, likelihood(shape, 7))) for _ in range(2))
    noise = torch.rand(2, model.likelihood.num_noises, *case.shape, dtype=torch.float64)
    x = torch.randint(0, 7, (2, *shape))

    def outcome(of: AutoregressiveModel) -> tuple[Tensor, Tensor, Tensor]:
        # To sample puts the model into eval(), which makes it forget: what scores keep must be there at the change.
        with torch.no_grad():
            return of.log_prob(x), of.sample(2, noise=noise), of.log_prob(x)

    before, expected = outcome(model), outcome(other)
    raw = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(other.state_dict())
    for got, wanted in zip(outcome(model), expected, strict=True):
        assert torch.equal(got, wanted)
    with torch.no_grad():
        torch._foreach_copy_(list(model.state_dict().values()), list(raw.values()))
    for got, wanted in zip(outcome(model), before, strict=True):
        assert torch.equal(got, wanted)
    assert not torch.equal(before[1], expected[1])


@pytest.mark.parametrize(("case", "likelihood"), WITH_LIKELIHOOD)
def test_the_decoder_gives_the_parameters_of_the_whole_pass_in_float32(
    case: Case, likelihood: type[PixelLikelihood]
) -> None:
    shape = (3, *case.shape)
    model = _lively(case.make(shape, likelihood(shape, 5))).float()
    x = torch.randint(0, 5, (2, *shape))
    with torch.no_grad():
        expected, decode = model.conditionals(x), model.decoder(2)
        for step in range(model.num_steps):
            rows, columns = (model.order == step).any(dim=0).nonzero(as_tuple=True)
            got = decode(torch.where(model.order < step, x, 0), *place_of(rows, columns))
            # Of a pixel drawn colour by colour, the parameters of later colours are not yet right.
            mine = _of_step(model, step, got.shape[1])
            torch.testing.assert_close(got[:, mine], expected[:, mine][:, :, rows, columns], atol=1e-5, rtol=1e-5)


def _of_step(model: AutoregressiveModel, step: int, num_params: int) -> Tensor:
    if model.likelihood.conditions_colours:
        return torch.arange(num_params)
    colour = (model.order == step).nonzero()[0, 0]
    return torch.arange(int(colour), num_params, model.shape[0])


def _smallest(case: Case) -> AutoregressiveModel:
    likelihood = Categorical if "categorical" in case.likelihoods else LogisticMixture
    return _lively(case.make(case.smallest, likelihood(case.smallest, case.levels)))


@torch.no_grad()
def _all_log_probs(model: AutoregressiveModel) -> Tensor:
    images = torch.cartesian_prod(*[torch.arange(model.levels)] * model.order.numel()).view(-1, *model.shape)
    return torch.cat([model.log_prob(some) for some in images.split(4096)])
