"""Estimates of log-determinants and of their gradients against the determinants themselves."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from genmodels.bijections import BruteForce, InvertibleResidual, LogDetEstimator, PowerSeries, RussianRoulette
from genmodels.bijections.log_det_series import memory_saving, neumann_series, plain_series
from genmodels.bijections.russian_roulette import geometric, poisson, roulette_weights
from genmodels.errors import UserError
from genmodels.networks.contraction import Contraction
from genmodels.networks.lipschitz import LipschitzLinear
from genmodels.networks.slope_one import LipSwish

CALLS, COPIES = 400, 100  # 40,000 probes, 400 random ends
FEATURES = 3

ROULETTES: dict[str, Callable[[], RussianRoulette]] = {
    "poisson, neumann": RussianRoulette,
    "poisson, series": lambda: RussianRoulette(gradient="series", saves_memory=False),
    "geometric, neumann": lambda: RussianRoulette("geometric", exact_terms=1, saves_memory=False),
    "geometric, series": lambda: RussianRoulette("geometric", gradient="series"),
}


@pytest.fixture
def net() -> Contraction:
    """Two layers with a derivative large enough that its powers matter."""
    torch.manual_seed(0)
    layers = [LipschitzLinear(FEATURES, 8, 0.95), LipschitzLinear(8, FEATURES, 0.95)]
    net = Contraction(layers, LipSwish).double()
    with torch.no_grad():
        for layer in layers:
            layer.weight.mul_(0.5).add_(torch.eye(*layer.weight.shape)).mul_(4.0)
        for _ in range(300):
            net.iterate()
    return net


@pytest.fixture
def x() -> Tensor:
    return torch.tensor([[2.0, 1.5, -1.0]], dtype=torch.double)


def _jacobian(net: Contraction, x: Tensor) -> Tensor:
    return torch.autograd.functional.jacobian(lambda v: net(v[None])[0], x[0], create_graph=True)


def _gradient(value: Tensor, net: Contraction) -> Tensor:
    parameters = list(net.parameters())
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    return torch.cat(
        [(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(found, parameters, strict=True)]
    )


def _drawn(estimator: LogDetEstimator, net: Contraction, x: Tensor) -> Iterator[Tensor]:
    """Of each call, the mean value over its copies in front of the gradient of that."""
    for seed in range(CALLS):
        torch.manual_seed(seed)
        log_det = estimator(net, x.repeat(COPIES, 1))[1].mean()
        yield torch.cat((log_det.detach()[None], _gradient(log_det, net)))


def _agree(drawn: list[Tensor], expected: Tensor) -> bool:
    values = torch.stack(drawn)
    error = values.std(dim=0) / math.sqrt(len(values))
    return bool(((values.mean(dim=0) - expected).abs() <= 5 * error + 1e-12).all())


def _value_and_gradient(log_det: Tensor, net: Contraction) -> Tensor:
    return torch.cat((log_det.detach()[None], _gradient(log_det, net)))


def _exact(net: Contraction, x: Tensor) -> Tensor:
    matrix = torch.eye(FEATURES, dtype=torch.double) + _jacobian(net, x)
    return _value_and_gradient(torch.linalg.slogdet(matrix).logabsdet, net)


@pytest.mark.parametrize("name", ROULETTES)
def test_russian_roulette_and_its_gradients_are_unbiased(name: str, net: Contraction, x: Tensor) -> None:
    exact = _exact(net, x)
    drawn = list(_drawn(ROULETTES[name](), net, x))
    assert _agree(drawn, exact)
    assert not _agree(drawn, 1.2 * exact)  # what the standard errors can tell


def test_the_power_series_is_that_of_its_terms_and_biased(net: Contraction, x: Tensor) -> None:
    terms, jacobian = 2, _jacobian(net, x)
    powers = [torch.linalg.matrix_power(jacobian, k).trace() * (-1) ** (k + 1) / k for k in range(1, terms + 1)]
    truncated, exact = _value_and_gradient(torch.stack(powers).sum(), net), _exact(net, x)
    drawn = list(_drawn(PowerSeries(terms), net, x))
    assert _agree(drawn, truncated)
    assert not _agree(drawn, exact)
    largest = float(torch.linalg.matrix_norm(jacobian, 2).detach())
    bound = FEATURES * (-math.log(1 - largest) - sum(largest**k / k for k in range(1, terms + 1)))
    assert 0.0 < abs(float(truncated[0] - exact[0])) < bound


@pytest.mark.parametrize("estimator", [BruteForce(), BruteForce().eval(), PowerSeries().eval()])
def test_brute_force_and_evaluation_of_small_blocks_are_exact(
    estimator: LogDetEstimator, net: Contraction, x: Tensor
) -> None:
    assert estimator.is_exact(FEATURES)
    torch.testing.assert_close(_value_and_gradient(estimator(net, x)[1].mean(), net), _exact(net, x))


@pytest.mark.parametrize("make", [PowerSeries, RussianRoulette])
def test_evaluation_of_large_blocks_is_unbiased(make: type[LogDetEstimator], net: Contraction, x: Tensor) -> None:
    estimator = make(exact_up_to=FEATURES - 1, evaluation_terms=3).eval()
    assert not estimator.is_exact(FEATURES)
    assert estimator.evaluation(FEATURES) == "3 terms and a random number more, 1 probe"
    with torch.no_grad():
        drawn = [estimator(net, x.repeat(COPIES, 1))[1].mean()[None] for _ in range(CALLS)]
    assert _agree(drawn, _exact(net, x)[:1])


@pytest.mark.parametrize("law", [poisson(2.0), geometric(0.5)])
def test_weights_have_mean_one_for_every_term(law) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    draws = torch.zeros(20000, 20, dtype=torch.double)
    for row in draws:
        weights = roulette_weights(2, law)
        row[: len(weights)] = torch.tensor(weights)[:20]
    assert (draws[:, :2] == 1).all()
    error = draws.std(dim=0) / math.sqrt(len(draws))
    common = slice(2, 8)  # further ones are rarer than the standard error of so few draws can tell
    assert ((draws.mean(dim=0) - 1).abs() <= 5 * error)[common].all()
    assert (error[3:8] > 0).all()
    n = torch.tensor([law.draw() for _ in range(20000)])
    for k in range(6):
        assert float((n >= k).double().mean()) == pytest.approx(law.tail(k), abs=0.02)


def test_draws_come_from_torchs_generator(net: Contraction, x: Tensor) -> None:
    values = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        values.append(float(RussianRoulette()(net, x)[1].detach()))
    assert values[0] == values[1] != values[2]


def test_the_neumann_estimate_has_the_value_of_the_series(net: Contraction, x: Tensor) -> None:
    """And not the scalar whose gradient it borrows."""
    _, product = net.linearized(x)
    probe, weights = torch.randn_like(x), [1.0, 1.0, 1.3, 2.0]
    plain, neumann = (series(product, probe, weights) for series in (plain_series, neumann_series))
    torch.testing.assert_close(neumann, plain)
    jacobian = _jacobian(net, x)
    total = probe
    for k, weight in enumerate(weights, start=1):
        total = total + (-1) ** k * weight * (probe @ torch.linalg.matrix_power(jacobian, k)).detach()
    surrogate = (total @ jacobian @ probe.T).sum()
    torch.testing.assert_close(_gradient(neumann.sum(), net), _gradient(surrogate, net))
    assert not torch.allclose(surrogate, plain, atol=0.01)


@pytest.mark.parametrize("series", [plain_series, neumann_series])
@pytest.mark.parametrize("weighting", ["equal", "unequal"])
def test_saving_memory_changes_no_gradient(series, weighting: str, net: Contraction, x: Tensor) -> None:  # type: ignore[no-untyped-def]
    """For the same probe and random end; of x, too, and for losses that weigh log-determinants unequally."""
    x = (x + 0.3 * torch.randn(5, FEATURES)).requires_grad_()
    probe, weights = torch.randn_like(x), [1.0, 1.0, 1.3]
    of_g = torch.randn_like(x)
    of_log_det = torch.ones(5).double() if weighting == "equal" else torch.randn(5).double()
    parameters = [x, *net.parameters()]

    def gradients(g: Tensor, log_det: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad((g * of_g).sum() + (log_det * of_log_det).sum(), parameters)

    g, product = net.linearized(x)
    plain = (g, series(product, probe, weights))
    saving = memory_saving(series, net, x, probe, weights)
    for found, expected in zip(saving, plain, strict=True):
        torch.testing.assert_close(found, expected)
    for found, expected in zip(gradients(*saving), gradients(*plain), strict=True):
        torch.testing.assert_close(found, expected)


def test_saving_memory_leaves_the_graph_of_g_alone() -> None:
    """What a block keeps for the backward pass does not grow with the terms of the series."""
    net = Contraction([LipschitzLinear(4, 64, 0.9), LipschitzLinear(64, 4, 0.9)], LipSwish)
    x = torch.randn(100, 4)

    def kept(saves_memory: bool, terms: int) -> int:
        sizes: list[int] = []

        def note(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        estimator = RussianRoulette(exact_terms=terms, gradient="series", saves_memory=saves_memory)
        estimator._weights = lambda count: [1.0] * count  # type: ignore[method-assign]
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            block = InvertibleResidual(net, estimator)
            block.log_det = estimator
            z, _ = block(x)
        return sum(sizes) if not saves_memory else _alive(z)

    assert kept(False, 8) > 2 * kept(False, 2)
    assert kept(True, 8) == kept(True, 2)


def _alive(z: Tensor) -> int:
    """Numbers that the graph behind z holds on to through what it keeps of the block's own pass."""
    node = next(f for f, _ in z.grad_fn.next_functions if type(f).__name__ == "_MemorySavingBackward")
    return sum(gradient.numel() for gradient in node.gradients if gradient is not None)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: PowerSeries(terms=0), r"model\.log_det\.terms must be at least 1"),
        (lambda: RussianRoulette(exact_terms=-1), r"model\.log_det\.exact_terms must be at least 0"),
        (lambda: RussianRoulette(evaluation_terms=0), r"model\.log_det\.evaluation_terms must be at least 1"),
        (lambda: PowerSeries(exact_up_to=-1), r"model\.log_det\.exact_up_to must be at least 0"),
    ],
)
def test_numbers_out_of_range_are_named(make, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=sentence):
        make()
