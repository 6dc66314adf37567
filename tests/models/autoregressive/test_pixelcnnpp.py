from typing import Any

import pytest
import torch
import torch.nn.functional as F

from genmodels.distributions import Bernoulli, Categorical, LogisticMixture
from genmodels.errors import UserError
from genmodels.models import PixelCNNPP
from genmodels.networks.concat_elu import concat_elu, gated_sum
from genmodels.networks.data_init import initialize, needs_initialization


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _small(shape: tuple[int, int, int] = (3, 8, 8), **kwargs: Any) -> PixelCNNPP:
    model = PixelCNNPP(shape, LogisticMixture(shape, 9, 2), 2, 6, **kwargs)
    x, y = torch.randint(0, 9, (16, *shape)), torch.randint(0, 3, (16,))
    initialize(model, lambda: model.log_prob(x, y))
    assert not needs_initialization(model)
    return model


@pytest.mark.parametrize(("width", "parameters"), [(160, 53_659_080), (192, 77_244_104)])
def test_has_the_official_number_of_parameters(width: int, parameters: int) -> None:
    """Counted from the official code at its defaults and at the paper's width."""
    with torch.device("meta"):
        model = PixelCNNPP((3, 32, 32), LogisticMixture((3, 32, 32), 256, 10), width=width)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_functions_equal_torchs_in_value_and_gradient() -> None:
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64).contiguous(memory_format=torch.channels_last).requires_grad_()
    h = torch.randn(2, 6, 5, 6, dtype=torch.float64).contiguous(memory_format=torch.channels_last).requires_grad_()
    assert torch.autograd.gradcheck(concat_elu, (x,))
    assert torch.autograd.gradcheck(gated_sum, (x, h))
    torch.testing.assert_close(concat_elu(x), F.elu(torch.cat((x, -x), 1)))
    torch.testing.assert_close(gated_sum(x, h), x + F.glu(h[:, :, :-1, :-1], dim=1))
    with torch.no_grad():
        torch.testing.assert_close(gated_sum(x, h[:, :, :-1, :-1]), gated_sum(x, h))


@pytest.mark.parametrize("dropout", [0.5, 0.3])
def test_dropout_of_the_activation_is_dropout(dropout: float) -> None:
    x = torch.randn(4, 8, 32, 33).contiguous(memory_format=torch.channels_last).requires_grad_()
    out, full = concat_elu(x, dropout), concat_elu(x)
    kept = out != 0
    torch.testing.assert_close(out, torch.where(kept, full / (1 - dropout), 0.0))
    count = kept.numel()
    assert abs(kept.float().mean() - (1 - dropout)) < 4 * (dropout * (1 - dropout) / count) ** 0.5
    for neighbours in (kept[..., 1:] == kept[..., :-1], kept[:, 1:] == kept[:, :-1], kept[1:] == kept[:-1]):
        agree = dropout**2 + (1 - dropout) ** 2
        assert abs(neighbours.float().mean() - agree) < 5 * (agree * (1 - agree) / neighbours.numel()) ** 0.5
    weights = torch.randn_like(out)
    (got,) = torch.autograd.grad((out * weights).sum(), x)
    (expected,) = torch.autograd.grad((full * kept / (1 - dropout) * weights).sum(), x)
    torch.testing.assert_close(got, expected)


def test_dropout_is_active_in_training_alone() -> None:
    model = _small(dropout=0.5)
    x = torch.randint(0, 9, (2, 3, 8, 8))
    assert not torch.equal(model.log_prob(x), model.log_prob(x))
    model.eval()
    assert torch.equal(model.log_prob(x), model.log_prob(x))


def test_a_pixel_of_value_zero_differs_from_padding() -> None:
    model = _small((1, 8, 8)).eval()
    seen: list[torch.Tensor] = []
    model.net.first_u.register_forward_hook(lambda module, inputs, out: seen.append(out))
    model.conditionals(torch.full((1, 1, 8, 8), 4))  # 0 when scaled
    assert not torch.allclose(seen[0][:, :, 0], seen[0][:, :, 1])
    torch.testing.assert_close(seen[0][:, :, 1], seen[0][:, :, 2])


def test_the_class_matters_everywhere_in_all_ways_to_sample() -> None:
    model = _small(conditional=True, num_classes=3).double().eval()
    x = torch.randint(0, 9, (1, 3, 8, 8)).expand(3, -1, -1, -1)
    params = model.conditionals(x, torch.arange(3))
    assert all((params[i] != params[j]).any(dim=0).all() for i, j in ((0, 1), (0, 2), (1, 2)))
    noise = torch.rand(1, 4, 8, 8, dtype=torch.float64).expand(3, -1, -1, -1)
    naive, cached, jacobi = (
        model.sample(3, torch.arange(3), noise=noise, method=method) for method in ("naive", "cached", "jacobi")
    )
    assert torch.equal(naive, cached)
    assert torch.equal(naive, jacobi)
    assert not torch.equal(naive[0], naive[1])


def test_any_likelihood_will_do_for_one_colour() -> None:
    for likelihood in (Bernoulli((1, 8, 8), 2), Categorical((1, 8, 8), 2)):
        model = PixelCNNPP((1, 8, 8), likelihood, 1, 4)
        x = torch.randint(0, 2, (8, 1, 8, 8))
        initialize(model, lambda model=model, x=x: model.log_prob(x))
        assert model.log_prob(x).isfinite().all()


@pytest.mark.parametrize(
    ("shape", "likelihood", "kwargs", "message"),
    [
        (
            (3, 30, 32),
            LogisticMixture,
            {"num_halvings": 2},
            "30x32 cannot be halved model.num_halvings=2 times: set it to 1",
        ),
        ((3, 32, 32), Categorical, {}, "model/likelihood=logistic_mixture"),
        ((3, 32, 32), LogisticMixture, {"width": 0}, "at least 1"),
        ((3, 32, 32), LogisticMixture, {"dropout": 1.0}, r"model\.dropout"),
        ((3, 32, 32), LogisticMixture, {"conditional": True}, r"data\.num_classes"),
    ],
)
def test_mistakes_are_named(shape: tuple[int, int, int], likelihood: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        PixelCNNPP(shape, likelihood(shape, 256), **kwargs)
