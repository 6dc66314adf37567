"""Backpropagation by inverses beside autograd's own, and the memory that it holds."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from genmodels.bijections import (
    ActNorm,
    Additive,
    Bijection,
    Compose,
    Continuous,
    Coupling,
    FactorOut,
    FlowBatchNorm,
    Inverse,
    OnHalf,
    Permutation,
    Reverse,
    SigmoidAffine,
    Squeezed,
    WholeSetBatchNorm,
    reversibly,
)
from genmodels.errors import UserError
from genmodels.models import NICE, Flow, FlowPP, FlowPPDequantization, Glow, IRevNet, RealNVP
from genmodels.networks import MLPField
from genmodels.networks.conv import ZeroConv2d
from genmodels.networks.data_init import initialize, needs_initialization
from genmodels.networks.mlp import MLP

SHAPE, LEVELS, CLASSES = (3, 8, 8), 17, 4
MEMORY = runpy.run_path(str(Path(__file__).parents[2] / "experiments" / "reversible_memory.py"))

# Small, with every kind of step that a family has: couplings of all kinds, nested scales, batch norms, dropout.
MODELS: dict[str, Callable[[bool], Flow]] = {
    "nice": lambda r: NICE(SHAPE, LEVELS, width=16, num_hidden=2, reversible=r),
    "realnvp": lambda r: RealNVP(SHAPE, LEVELS, num_scales=2, width=6, num_blocks=1, reversible=r),
    "glow": lambda r: Glow(SHAPE, LEVELS, num_scales=2, num_steps=3, width=8, reversible=r),
    "glow of classes": lambda r: Glow(
        SHAPE,
        LEVELS,
        num_scales=2,
        num_steps=2,
        width=8,
        coupling="additive",
        permutation="shuffle",
        conditional=True,
        num_classes=CLASSES,
        reversible=r,
    ),
    "flowpp": lambda r: FlowPP(
        SHAPE,
        LEVELS,
        ("2 columns", "squeeze", "2 channels", "2 columns"),
        width=8,
        num_blocks=1,
        num_components=3,
        heads=2,
        dropout=0.3,
        dequantization=FlowPPDequantization(
            SHAPE, LEVELS, 2, 1, width=8, num_components=2, heads=2, context_width=4, context_blocks=1, reversible=r
        ),
        reversible=r,
    ),
    "irevnet": lambda r: IRevNet(SHAPE, LEVELS, (2, 2), (2, 1), width=6, dropout=0.3, reversible=r),
}


def _pair(name: str, dtype: torch.dtype) -> tuple[Flow, Flow, Tensor, Tensor | None]:
    """An initialised model away from its start, in training mode, its reversible twin, and a batch."""
    torch.manual_seed(0)
    kept = MODELS[name](False)
    x = torch.randint(LEVELS, (12, *SHAPE))
    y = torch.arange(12) % CLASSES if kept.num_classes else None
    initialize(kept, lambda: kept.log_prob(x, y))
    with torch.no_grad():
        for parameter in kept.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    reversible = MODELS[name](True)
    reversible.load_state_dict(kept.state_dict())  # the same names
    return kept.to(dtype).train(), reversible.to(dtype).train(), x, y


def _step(model: Flow, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor, dict[str, Tensor | None], Tensor]:
    """log p, all gradients as one vector and by name, and what the generator draws next."""
    model.zero_grad()
    torch.manual_seed(1)
    log_p = model.log_prob(x, y)
    (-log_p.mean() / 64).backward()
    by_name = {name: parameter.grad for name, parameter in model.named_parameters()}
    return log_p.detach(), torch.cat([g.flatten() for g in by_name.values() if g is not None]), by_name, torch.rand(1)


@pytest.mark.parametrize("name", MODELS)
def test_all_gradients_are_the_ordinary_ones(name: str) -> None:
    kept, reversible, x, y = _pair(name, torch.float64)
    ours, theirs = _step(reversible, x, y), _step(kept, x, y)
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[3], theirs[3])  # as much noise was drawn
    for parameter, gradient in theirs[2].items():
        assert (gradient is None) == (ours[2][parameter] is None), parameter
        if gradient is not None:
            torch.testing.assert_close(ours[2][parameter], gradient, rtol=1e-9, atol=1e-12, msg=parameter)
    for (name_, ours_), theirs_ in zip(reversible.named_buffers(), kept.buffers(), strict=True):
        assert torch.equal(ours_, theirs_), name_  # running averages moved once, and to the same place


@pytest.mark.parametrize("name", MODELS)
def test_in_single_precision_they_are_up_to_the_rounding_of_inverses(name: str) -> None:
    kept, reversible, x, y = _pair(name, torch.float32)
    ours, theirs = _step(reversible, x, y)[1], _step(kept, x, y)[1]
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-4


@pytest.mark.parametrize("name", ["nice", "irevnet", "glow"])
def test_activations_are_recomputed_in_the_precision_of_the_forward_pass(name: str) -> None:
    """Networks in bfloat16 and, as Lightning has it, the backward pass outside of autocast.

    Where an input comes back to the last bit, so does what a network makes of it. Else it may round the other way, and
    gradients are apart by about what bfloat16 costs as it is.
    """
    kept, reversible, x, y = _pair(name, torch.float32)

    def gradient(model: Flow, enabled: bool) -> Tensor:
        model.zero_grad()
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled):
            loss = -model.log_prob(x, y).mean() / 64
        loss.backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    ours, theirs, precise = gradient(reversible, True), gradient(kept, True), gradient(kept, False)
    apart, rounding = (float((g - theirs).norm() / theirs.norm()) for g in (ours, precise))
    assert rounding > 1e-3
    assert apart < (2 * rounding if name == "glow" else 1e-6)


class Conditioned(nn.Module):
    """A network of a coupling that sees a context, [B, 2]."""

    def __init__(self, outs: int) -> None:
        super().__init__()
        self.net = MLP(4, outs, 8, 1)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        assert context is not None
        return self.net(torch.cat((x, context), dim=1))


def _normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def _vectors(seen: nn.Module) -> Compose:
    """Of four dimensions, with a step of which another step is the inverse, and one that is met twice."""
    shared = Coupling(Conditioned(4), SigmoidAffine())
    inner = Compose([ActNorm(4), Inverse(Coupling(seen, Additive(), swap=True)), Reverse(4)])
    return Compose([shared, inner, shared, OnHalf(ActNorm(2), second=True)]).double()


def _compared(bijection: Bijection, x: Tensor, context: Tensor | None = None) -> tuple[list[Any], list[Any]]:
    """Gradients of input, context and parameters, by inverses and by autograd."""
    found = []
    for run in (reversibly, Bijection.__call__):
        for parameter in bijection.parameters():
            parameter.grad = None
        inputs = [None if t is None else t.detach().requires_grad_() for t in (x, context)]
        torch.manual_seed(2)
        z, log_det = run(bijection, *inputs)  # type: ignore[arg-type]
        (z.sin().sum() + (log_det * torch.arange(len(x))).sum()).backward()
        found.append([t.grad for t in (*inputs, *bijection.parameters()) if t is not None])
    return found[0], found[1]


def test_input_context_and_shared_parameters_get_their_gradients() -> None:
    torch.manual_seed(0)
    for ours, theirs in zip(*_compared(_vectors(Conditioned(2)), _normal(5, 4), _normal(5, 2)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


class Dropping(Conditioned):
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return nn.functional.dropout(super().forward(x, context), 0.5)


def test_noise_is_drawn_once_in_couplings_and_in_steps_that_run_twice() -> None:
    torch.manual_seed(0)
    bijection, x, context = _vectors(Dropping(2)), _normal(50, 4), _normal(50, 2)
    bijection.bijections[0].net = Dropping(4).double()  # type: ignore[union-attr]
    for ours, theirs in zip(*_compared(bijection, x, context), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_the_backward_pass_leaves_the_generator_alone() -> None:
    torch.manual_seed(0)
    bijection, context = _vectors(Dropping(2)), _normal(5, 2)
    z, _ = reversibly(bijection, _normal(5, 4), context)
    torch.rand(3)
    state = torch.get_rng_state()
    z.sum().backward()
    assert torch.equal(torch.get_rng_state(), state)


def test_batch_norm_is_inverted_by_the_statistics_of_its_batch() -> None:
    torch.manual_seed(0)
    mask = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(1, 1, 2, 2)
    prior = ZeroConv2d(4, 8)
    nn.init.normal_(prior.conv.weight, std=0.1)
    scales = Squeezed(FactorOut(FlowBatchNorm(4), prior))
    bijection = Compose([FlowBatchNorm(2, mask), scales, FlowBatchNorm(2)]).double()
    x = 3.0 + 2.0 * _normal(20, 2, 2, 2)
    for ours, theirs in zip(*_compared(bijection, x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_a_batch_norm_set_to_eval_is_inverted_by_its_averages() -> None:
    torch.manual_seed(0)
    bijection = Compose([ActNorm(2), FlowBatchNorm(2), ActNorm(2)]).double()
    bijection.bijections[1].eval()
    for ours, theirs in zip(*_compared(bijection, 3.0 + 2.0 * _normal(20, 2, 2, 2)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_hooks_on_parameters_see_the_whole_gradient_once() -> None:
    """Of one that two steps share, too."""
    torch.manual_seed(0)
    bijection, calls = _vectors(Conditioned(2)), []
    for parameter in bijection.parameters():
        parameter.register_hook(lambda gradient: calls.append(1) or 3.0 * gradient)
    for ours, theirs in zip(*_compared(bijection, _normal(5, 4), _normal(5, 2)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    assert len(calls) == 2 * sum(1 for _ in bijection.parameters())


class Called(nn.Module):
    """Log-determinant and result of a bijection, summed up by one of two ways to run it."""

    def __init__(self, bijection: Bijection, run: Callable[..., tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.bijection, self.run = bijection, run

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        z, log_det = self.run(self.bijection, x, context)
        return z.sin().sum() + log_det.sum()


def test_weights_swapped_in_for_a_call_get_the_gradients() -> None:
    """Which are those at their own values, though the module has its own back when the backward pass begins."""
    torch.manual_seed(0)
    bijection = Compose([ActNorm(4), Coupling(Conditioned(4), SigmoidAffine())]).double()
    x, context = _normal(5, 4), _normal(5, 2)
    scale = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    found = []
    for run in (reversibly, Bijection.__call__):
        called = Called(bijection, run)
        weights = {name: scale * parameter.detach() for name, parameter in called.named_parameters()}
        found += torch.autograd.grad(functional_call(called, weights, (x, context)), [scale])
    assert float(found[1].abs()) > 0.1
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)


def test_frozen_parameters_stay_without_gradients() -> None:
    kept, reversible, x, y = _pair("glow", torch.float64)
    for model in (kept, reversible):
        for name, parameter in model.named_parameters():
            parameter.requires_grad_("net.second" not in name)
    ours, theirs = _step(reversible, x, y), _step(kept, x, y)
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-9, atol=1e-12)
    assert {name for name, g in ours[2].items() if g is None} == {
        n for n, _ in kept.named_parameters() if "second" in n
    }
    for parameter in reversible.parameters():
        parameter.requires_grad_(False)
    assert not reversible.log_prob(x, y).requires_grad


def test_a_first_batch_initialises_it_as_ever() -> None:
    torch.manual_seed(0)
    kept, x = MODELS["glow"](False), torch.randint(LEVELS, (12, *SHAPE))
    reversible = MODELS["glow"](True)
    assert needs_initialization(reversible)
    reversible.load_state_dict(kept.state_dict())
    for model in (kept, reversible):
        torch.manual_seed(1)
        initialize(model, lambda model=model: model.log_prob(x))  # type: ignore[misc]
    assert not needs_initialization(reversible)
    for ours, theirs in zip(reversible.state_dict().values(), kept.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_without_training_or_gradients_it_is_the_plain_call() -> None:
    _, model, x, y = _pair("flowpp", torch.float32)
    name = type(model.bijection(torch.rand(2, *SHAPE))[0].grad_fn).__name__
    assert type(reversibly(model.bijection, torch.rand(2, *SHAPE))[0].grad_fn).__name__ != name
    with torch.no_grad():
        assert not model.log_prob(x, y).requires_grad
    model.eval()
    assert type(reversibly(model.bijection, torch.rand(2, *SHAPE))[0].grad_fn).__name__ == name


def test_a_parameter_changed_between_the_passes_is_an_error() -> None:
    _, model, x, y = _pair("glow", torch.float32)
    loss = model.log_prob(x, y).mean()
    with torch.no_grad():
        next(model.bijection.parameters()).add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize(
    "step",
    [lambda: Continuous(MLPField(4, 1).network([3])), lambda: WholeSetBatchNorm(3), lambda: FlowBatchNorm(3)],
)
def test_what_has_no_exact_inverse_in_training_is_refused(step: Callable[[], Bijection]) -> None:
    bijection = Compose([Permutation(torch.arange(3)), Inverse(step())])
    with pytest.raises(UserError, match=r"^model\.reversible=true .* does not have: use it with couplings") as error:
        Flow(bijection, (3,), None, reversible=True)
    assert "\n" not in str(error.value)


def test_memory_does_not_grow_with_depth() -> None:
    """To the byte, where autograd's own grows in proportion."""
    kept, reversible = ([MEMORY["memory"](MEMORY["glow"](depth, way)) for depth in (2, 6)] for way in (False, True))
    assert reversible[0] == reversible[1]
    assert kept[1]["held"] > 2.5 * kept[0]["held"]
    assert kept[1]["peak"] > 2.4 * kept[0]["peak"] > 2.4 * reversible[0]["peak"]
    z = 4 * MEMORY["BATCH"] * 3 * 16 * 16
    assert z <= reversible[1]["held"] < 1.1 * z  # the output alone


def test_learned_noise_of_more_couplings_holds_no_more() -> None:
    held = []
    for couplings in (1, 3):
        noise = FlowPPDequantization(
            MEMORY["SHAPE"], MEMORY["LEVELS"], couplings, 1, width=8, num_components=2, heads=2, reversible=True
        )
        model = Glow(MEMORY["SHAPE"], MEMORY["LEVELS"], 1, 1, 8, dequantization=noise, reversible=True)
        held.append(MEMORY["memory"](model)["held"])
    assert held[0] == held[1]


def test_the_log_of_memory_counts_what_is_known() -> None:
    """exp keeps its result for the way back, and so does the second for itself and for the sine."""
    x = torch.zeros(1000, requires_grad=True)
    with MEMORY["MemoryLog"]() as log:
        y = x.exp().exp().sin().sum()
        between = len(log.events)
        y.backward()
    alive = MEMORY["live"](log.events, {log.number_of(x.grad)})
    assert alive[between] == 8000 + 4
    assert alive[-1] == 4  # y
