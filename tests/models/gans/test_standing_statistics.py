"""Batch norm in evaluation: statistics of the generator's weights as they are, over latents of its own."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from genmodels.models import DCGAN
from genmodels.networks.standing_statistics import standing_statistics
from genmodels.randomness import seed_for


def dcgan(seed: int = 0, **options: object) -> DCGAN:
    """Of 8x8 digits, with two batch norms in the generator that no two channels agree in."""
    torch.manual_seed(seed)
    model = DCGAN((1, 8, 8), 17, width=6, num_latents=5, num_scales=2, **options)  # type: ignore[arg-type]
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def by_hand(model: DCGAN, z: Tensor) -> Tensor:
    """G(z) in evaluation, from 16 batches of 64 latents: convolutions and batch norms written out."""
    convs = [layer for layer in model.generator.layers if isinstance(layer, nn.ConvTranspose2d)]
    norms = [layer for layer in model.generator.layers if isinstance(layer, nn.BatchNorm2d)]
    torch.manual_seed(seed_for("standing statistics"))
    batches = [torch.randn(64, 5, dtype=z.dtype)[:, :, None, None] for _ in range(16)]
    shown = z[:, :, None, None]
    for conv, norm in zip(convs, [*norms, None], strict=True):
        shown, batches = conv(shown), [conv(batch) for batch in batches]
        if norm is None:
            return shown.tanh()
        moments = [torch.var_mean(batch, dim=(0, 2, 3), correction=1) for batch in batches]
        biased = [torch.var_mean(batch, dim=(0, 2, 3), correction=0) for batch in batches]
        variance, mean = (torch.stack(values).mean(0) for values in zip(*moments, strict=True))
        shown = _normed(norm, shown, mean, variance)
        batches = [_normed(norm, batch, m, v) for batch, (v, m) in zip(batches, biased, strict=True)]
    raise AssertionError


def _normed(norm: nn.BatchNorm2d, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    mean, variance, gain, bias = (v[:, None, None] for v in (mean, variance, norm.weight, norm.bias))
    return ((x - mean) / (variance + norm.eps).sqrt() * gain + bias).relu()


@torch.no_grad()
def test_evaluation_uses_the_moments_of_the_generators_own_latents() -> None:
    model, z = dcgan().eval(), torch.randn(7, 5)
    torch.testing.assert_close(model.generate(z), by_hand(model, z), atol=1e-5, rtol=1e-4)
    assert (model.generate(z) - model.generator(z)).abs().max() > 0.1  # whose running averages are still 0 and 1


@torch.no_grad()
def test_running_averages_when_asked_for() -> None:
    model, z = dcgan(), torch.randn(7, 5)
    model.statistics = "running"
    model.train()
    for _ in range(3):
        model.generate(torch.randn(64, 5))
    model.eval()
    assert torch.equal(model.generate(z), model.generator(z))
    assert (model.generate(z) - by_hand(model, z)).abs().max() > 0.01


def fused_step(model: DCGAN) -> None:
    """Changes the weights without raising their version."""
    optimizer = torch.optim.Adam(model.generator.parameters(), lr=0.1, fused=True)
    model.train()
    with torch.enable_grad():
        model.generate(torch.randn(8, 5)).sum().backward()
    optimizer.step()
    model.eval()


def swap_in(model: DCGAN) -> None:
    """As the callback does with averages."""
    weights = [parameter.detach() for parameter in model.generator.parameters()]
    torch._foreach_copy_(weights, [p.detach() for p in dcgan(seed=1).generator.parameters()])


CHANGES: dict[str, Callable[[DCGAN], object]] = {
    "fused step": fused_step,
    "swapped average": swap_in,
    "loaded state": lambda model: model.load_state_dict(dcgan(seed=1).state_dict()),
    "float64": lambda model: model.double(),
}


@pytest.mark.parametrize("change", CHANGES)
@torch.no_grad()
def test_they_follow_the_weights(change: str) -> None:
    model, z = dcgan().eval(), torch.randn(7, 5)
    before = model.generate(z)
    CHANGES[change](model)
    z = z.to(next(model.parameters()).dtype)
    after = model.generate(z)
    torch.testing.assert_close(after, by_hand(model, z), atol=1e-5, rtol=1e-4)
    if change != "float64":
        assert (after - before).abs().max() > 0.05


@torch.no_grad()
def test_sampling_leaves_the_training_as_it_was() -> None:
    """Buffers, modes and, whether the statistics are computed or at hand, what is drawn next."""
    model = dcgan()
    model.generate(torch.randn(32, 5))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.eval()
    drawn = []
    for _ in range(2):  # the second time the statistics are there
        torch.manual_seed(3)
        drawn.append((model.sample(4), torch.rand(())))
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert torch.equal(drawn[0][1], drawn[1][1])
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    model.train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.training and norm.momentum == 0.1 for norm in norms)


def test_without_a_batch_norm_there_are_none() -> None:
    assert standing_statistics(nn.Linear(2, 2), lambda _: pytest.fail("nothing to run"), 16) == {}


@torch.no_grad()
def test_only_batch_norms_are_in_training_mode_meanwhile() -> None:
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.9))
    modes = []
    found = standing_statistics(net, lambda copied: (modes.append([m.training for m in copied]), copied(X)), 2)
    assert modes == [[True, False]] * 2
    assert found.keys() == {"0.running_mean", "0.running_var"}
    torch.testing.assert_close(found["0.running_mean"], X.mean(0))
    torch.testing.assert_close(found["0.running_var"], X.var(0))
    assert not net[0].running_mean.any()


X = torch.linspace(-1, 2, 12).view(4, 3) ** 2
