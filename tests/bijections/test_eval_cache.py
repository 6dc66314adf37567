"""What is computed from weights and kept between calls must follow every change of the weights."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from genmodels.bijections import ActNormConv1x1, Bijection, Coupling, InvertibleConv1x1, LearnedTopPrior, SigmoidAffine
from genmodels.bijections.linear import PLU
from genmodels.models import MAF
from genmodels.models.flows.glow_net import GlowNet

IMAGE, VECTOR = torch.linspace(-1, 1, 72).view(2, 4, 3, 3), torch.linspace(-1, 1, 8).view(2, 4)
KEEPING: dict[str, tuple[Callable[[], Bijection], Tensor]] = {
    "1x1 convolution, LU": (lambda: InvertibleConv1x1(4), IMAGE),
    "1x1 convolution, full": (lambda: InvertibleConv1x1(4, lu=False), IMAGE),
    "actnorm and 1x1 convolution": (lambda: ActNormConv1x1(4), IMAGE),
    "coupling of Glow": (lambda: Coupling(GlowNet(2, 4, 8, edge=True), SigmoidAffine()), IMAGE),
    "top prior of Glow": (lambda: LearnedTopPrior(4, edge=True), IMAGE),
    "PLU": (lambda: PLU(4), VECTOR),
    "MAF": (lambda: MAF((4,), None, width=8, batch_norm=False).bijection, VECTOR),
}


def started(name: str) -> tuple[Bijection, Tensor]:
    """In `eval()`, every weight away from where it starts, with all that is kept in place."""
    torch.manual_seed(0)
    constructor, x = KEEPING[name]
    bijection = constructor().eval()
    move(bijection)
    results(bijection, x)
    return bijection, x


@torch.no_grad()
def move(bijection: Bijection) -> None:
    weights = [p.detach() for p in bijection.parameters()]
    torch._foreach_copy_(weights, [w + 0.1 * torch.randn_like(w) for w in weights])  # as `EMA` swaps averages in


@torch.no_grad()
def results(bijection: Bijection, x: Tensor) -> tuple[Tensor, ...]:
    return (*bijection(x), *bijection.inverse(x))


def fresh(bijection: Bijection, x: Tensor) -> tuple[Tensor, ...]:
    """The same where nothing may have been kept."""
    return results(bijection.eval(), x)


def differ(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> bool:
    return not all(map(torch.equal, first, second))


@pytest.mark.parametrize("name", KEEPING)
def test_kept_values_are_those_computed_in_every_call(name: str) -> None:
    bijection, x = started(name)
    first, kept = fresh(bijection, x), results(bijection, x)
    assert not differ(kept, first)
    with torch.enable_grad():
        torch.testing.assert_close(kept, (*bijection(x), *bijection.inverse(x)))


@pytest.mark.parametrize("name", KEEPING)
def test_swapped_in_and_loaded_weights(name: str) -> None:
    bijection, x = started(name)
    before, state = results(bijection, x), copy.deepcopy(bijection.state_dict())
    move(bijection)
    after = results(bijection, x)
    assert differ(after, before)
    assert not differ(after, fresh(bijection, x))
    bijection.load_state_dict(state)
    assert not differ(results(bijection, x), before)


@pytest.mark.parametrize("name", KEEPING)
def test_a_copy_and_a_pickle_follow_their_own_weights(name: str) -> None:
    bijection, x = started(name)
    before = results(bijection, x)
    for twin in (copy.deepcopy(bijection), copy.copy(bijection)):
        assert not differ(results(twin, x), before)
        assert not any(vars(module).get("_kept") for module in copy.deepcopy(twin).modules())
    twin = copy.deepcopy(bijection)
    move(twin)
    assert not differ(results(twin, x), fresh(twin, x))
    assert not differ(results(bijection, x), before)


def test_pickles_hold_weights_alone() -> None:
    bijection = ActNormConv1x1(4).eval()
    before = len(pickle.dumps(bijection))
    results(bijection, IMAGE)
    assert len(pickle.dumps(bijection)) == before
    assert not differ(results(pickle.loads(pickle.dumps(bijection)), IMAGE), results(bijection, IMAGE))


@pytest.mark.parametrize("name", KEEPING)
def test_another_precision(name: str) -> None:
    bijection, x = started(name)
    bijection.double()
    assert not any(vars(module).get("_kept") for module in bijection.modules())
    found = results(bijection, x.double())
    assert all(result.dtype == torch.float64 for result in found)
    assert not differ(found, fresh(bijection, x.double()))


@pytest.mark.parametrize("name", KEEPING)
def test_autocast_keeps_nothing_for_later(name: str) -> None:
    bijection, x = started(name)
    bijection.eval()
    with torch.autocast("cpu", torch.bfloat16):
        results(bijection, x)
    assert not differ(results(bijection, x), fresh(bijection, x))


def test_weights_put_in_the_place_of_freed_ones() -> None:
    """Replaced data have the version of those before, and may lie where older ones lay."""
    layer, x = InvertibleConv1x1(64, lu=False).eval(), torch.randn(1, 64, 1, 1)
    for _ in range(20):
        for _ in range(2):
            layer.weight.data = layer.weight.data * 1.01
        found = results(layer, x)
        assert not differ(found, fresh(layer, x))


@pytest.mark.parametrize("name", KEEPING)
def test_gradients_in_eval(name: str) -> None:
    """They reach every weight, as in training, whatever has been kept before."""
    bijection, x = started(name)
    parameters = list(bijection.parameters())
    found = []
    for mode in (False, True):
        bijection.train(mode)
        results(bijection, x)
        z, log_det = bijection(x)
        found.append(torch.autograd.grad(z.square().sum() + log_det.sum(), parameters, allow_unused=True))
    for ours, expected in zip(*found, strict=True):
        assert (ours is None) == (expected is None)
        assert ours is None or torch.equal(ours, expected)


@pytest.mark.parametrize("name", sorted(KEEPING.keys() - {"MAF"}))  # its loss passes by what it keeps for sampling
def test_a_fused_optimiser_step_in_eval(name: str) -> None:
    """It raises no version, but its loss asked for a gradient."""
    bijection, x = started(name)
    before = results(bijection, x)
    optimizer = torch.optim.Adam(bijection.parameters(), lr=0.1, fused=True)
    z, log_det = bijection(x)
    (z.square().sum() - log_det.sum()).backward()
    optimizer.step()
    after = results(bijection, x)
    assert differ(after, before)
    assert not differ(after, fresh(bijection, x))


@pytest.mark.parametrize("evaluate", [True, False], ids=["eval", "train"])
@pytest.mark.parametrize("name", KEEPING)
def test_nothing_outlives_a_fused_optimiser_step(name: str, evaluate: bool) -> None:
    """A fused step changes the weights in place without raising their version."""
    torch.manual_seed(0)
    constructor, x = KEEPING[name]
    bijection = constructor()
    optimizer = torch.optim.Adam(bijection.parameters(), lr=0.1, fused=True)
    for _ in range(3):
        bijection.train()
        z, log_det = bijection(x)
        (z.square().sum() - log_det.sum()).backward()
        optimizer.step()
        bijection.train(not evaluate)
        with torch.no_grad():
            torch.testing.assert_close(bijection.inverse(bijection(x)[0])[0], x, atol=1e-3, rtol=1e-3)
