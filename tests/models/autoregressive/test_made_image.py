"""MADE on images as a mixture over orders."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from genmodels.distributions import Bernoulli, Categorical, LogisticMixture
from genmodels.errors import UserError
from genmodels.models import ImageMADE

SHAPE = (1, 2, 3)


def _made(num_orders: int = 3, direct: bool = False, hidden: tuple[int, ...] = (40, 40)) -> ImageMADE:
    torch.manual_seed(0)
    made = ImageMADE(SHAPE, Bernoulli(SHAPE, 2), hidden, num_orders, direct, activation="tanh").double().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_()
    return made


def _all_images() -> Tensor:
    return torch.cartesian_prod(*[torch.arange(2)] * 6).view(-1, *SHAPE)


def _by_the_paper(made: ImageMADE, k: int, x: Tensor) -> Tensor:
    """log p_k by Equations 8 to 13 of the paper, one weight matrix after the other."""
    net = made.net
    places = net.places[k]
    degrees = [places, net.degrees0[k], net.degrees1[k]]
    h = x.flatten(1).double()
    for layer, (below, above) in zip(net.layers, itertools.pairwise(degrees), strict=False):
        h = torch.tanh(h @ (layer.weight * (above[:, None] >= below)).T + layer.bias)
    logits = h @ (net.layers[2].weight * (places[:, None] > degrees[-1])).T + net.layers[2].bias
    if net.direct is not None:
        logits = logits + x.flatten(1).double() @ (net.direct.weight * (places[:, None] > places)).T
    return torch.distributions.Bernoulli(logits=logits).log_prob(x.flatten(1).double()).sum(dim=1)


@pytest.mark.parametrize("direct", [False, True])
def test_the_likelihood_is_the_mean_of_the_members_likelihoods(direct: bool) -> None:
    made, x = _made(direct=direct), _all_images()
    each = torch.stack([_by_the_paper(made, k, x) for k in range(3)])
    assert (each[0] - each[1]).abs().max() > 0.1
    for k in range(3):
        torch.testing.assert_close(made.member(k).log_prob(x), each[k])
    torch.testing.assert_close(made.log_prob(x), each.exp().mean(dim=0).log())


def test_what_one_member_keeps_without_gradients_is_not_taken_by_another() -> None:
    made, x = _made(direct=True), _all_images()
    expected = [made.member(k).conditionals(x).detach() for k in range(3)]
    with torch.no_grad():
        for k in (0, 1, 2, 0):
            member = made.member(k)
            torch.testing.assert_close(member.conditionals(x), expected[k])
            decode = member.decoder(len(x))
            for step in range(6):
                _, row, column = (member.order == step).nonzero()[0].tolist()
                torch.testing.assert_close(decode(x, row, column)[:, :, 0], expected[k][:, :, row, column])


def test_probabilities_sum_to_one_but_not_those_of_averaged_logits() -> None:
    """The mean of the logits, as in a public port, "improves" the likelihood since each pixel has seen all others."""
    made, x = _made(), _all_images()
    assert made.log_prob(x).exp().sum().item() == pytest.approx(1.0, abs=1e-9)
    logits = torch.stack([made.member(k).conditionals(x) for k in range(3)]).mean(dim=0)
    averaged = made.likelihood.log_prob(logits, x).flatten(1).sum(dim=1)
    assert abs(averaged.exp().sum().item() - 1.0) > 0.05


def test_samples_are_those_of_the_mixture() -> None:
    made, x, n = _made(), _all_images(), 20000
    drawn = made.sample(n)
    codes = (drawn.flatten(1).long() * 2 ** torch.arange(6)).sum(dim=1)
    seen = torch.bincount(codes, minlength=64) / n
    p = made.log_prob(x).exp()[(x.flatten(1) * 2 ** torch.arange(6)).sum(dim=1).argsort()]
    assert ((seen - p).abs() < 4.5 * (p * (1 - p) / n).sqrt() + 1e-4).all()


def test_all_ways_to_sample_the_mixture_draw_the_same_picture() -> None:
    made = _made()
    noise = torch.rand(50, 1, 2, 3, dtype=torch.float64)
    given = torch.ones(50, *SHAPE, dtype=torch.uint8)
    known = torch.tensor([[True, True, False], [False, False, False]])
    for kept in ({}, {"given": given, "known": known}):
        naive, cached, jacobi = (
            made.sample(50, noise=noise, method=method, **kept) for method in ("naive", "cached", "jacobi")
        )
        assert torch.equal(cached, naive)
        assert torch.equal(jacobi, naive)
    assert naive[..., 0, :2].all()


@pytest.mark.parametrize("num_hidden", [1, 2])
def test_hidden_units_carry_everything_that_comes_before_in_every_order(num_hidden: int) -> None:
    made = _made(hidden=(60,) * num_hidden)
    x = torch.rand(6, dtype=torch.float64)
    for k in range(3):
        jacobian = torch.autograd.functional.jacobian(lambda v, k=k: made.net(v[None], k)[0], x)
        place = made.member(k).order.flatten()
        assert torch.equal(jacobian != 0, place[:, None] > place)


def test_training_scores_a_batch_by_one_member_and_reaches_all() -> None:
    made, x = _made(), _all_images()
    each = [made.member(k).log_prob(x) for k in range(3)]
    made.train()
    torch.manual_seed(1)
    scores = [made.log_prob(x) for _ in range(30)]
    chosen = [next(k for k in range(3) if torch.equal(score, each[k])) for score in scores]
    assert set(chosen) == {0, 1, 2}
    torch.manual_seed(1)
    assert torch.equal(made.log_prob(x), scores[0])


def test_a_change_of_the_weights_or_the_order_is_seen_without_gradients() -> None:
    made, x = _made(), _all_images()
    noise = torch.rand(50, 1, 2, 3, dtype=torch.float64)
    with torch.no_grad():
        made.log_prob(x)
        made.sample(50, noise=noise)
        other = _made()
        other.net.places.copy_(other.net.places.flip(1))
        for parameter in other.parameters():
            parameter.mul_(0.5)
        made.load_state_dict(other.state_dict())
        assert torch.equal(made.log_prob(x), other.log_prob(x))
        assert torch.equal(made.sample(50, noise=noise), other.sample(50, noise=noise))


def test_the_size_of_the_paper() -> None:
    """784 -> 8000 -> 8000 -> 784 with biases, and direct connections."""
    shape = (1, 28, 28)
    with torch.device("meta"):
        made = ImageMADE(shape, Bernoulli(shape, 2), (8000, 8000))
    expected = (784 + 1) * 8000 + (8000 + 1) * 8000 + (8000 + 1) * 784 + 784**2
    assert sum(parameter.numel() for parameter in made.parameters()) == expected


def test_mistakes_are_told() -> None:
    for key, value in (("hidden", ()), ("hidden", (0,)), ("num_orders", 0)):
        with pytest.raises(UserError, match=rf"^model\.{key} must"):
            ImageMADE(SHAPE, Bernoulli(SHAPE, 2), **{key: value})
    with pytest.raises(UserError, match="model/likelihood=categorical"):
        ImageMADE(SHAPE, LogisticMixture(SHAPE, 4), (4,))
    large = (3, 32, 32)
    with pytest.raises(UserError, match=r"2\.5e\+09 weights.*model\.direct=false"):
        ImageMADE(large, Categorical(large, 256), (50,))
    with pytest.raises(UserError, match=r"model\.hidden smaller"):
        ImageMADE(large, Categorical(large, 256), (8000,), direct=False)


def test_no_hidden_unit_sees_nothing_below() -> None:
    """Degrees start from the smallest of the layer below (official code), so that every unit sees some of its units."""
    shape = (1, 8, 8)
    for _ in range(20):
        net = ImageMADE(shape, Bernoulli(shape, 2), (4, 50, 6), num_orders=2).net
        for k in range(2):
            for below, above in ((net.degrees0[k], net.degrees1[k]), (net.degrees1[k], net.degrees2[k])):
                assert (above[:, None] >= below).any(dim=1).all()
                assert above.max() < 64


def test_starts_near_the_uniform_distribution() -> None:
    torch.manual_seed(0)
    shape = (1, 8, 8)
    made = ImageMADE(shape, Bernoulli(shape, 2), (200, 200), num_orders=2).eval()
    nats = -made.log_prob(torch.randint(0, 2, (50, *shape))).mean().detach()
    assert nats.item() == pytest.approx(64 * math.log(2), rel=0.2)
