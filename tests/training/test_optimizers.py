from functools import partial

import pytest
import torch
from torch import nn
from training_toys import DiagonalGaussian, module

from genmodels.training import AdamNormGrad, GlowAdamax, LikelihoodModule


def test_glow_adamax_follows_the_official_recursion() -> None:
    gradients = [0.5, -2.0, 0.25, 0.0, 1.5]
    lr, b1, b2, eps = 0.1, 0.9, 0.7, 1e-8
    p, m, v = 1.0, 0.0, 0.0
    parameter = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = GlowAdamax([parameter], lr=lr, betas=[b1, b2], eps=eps)
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        v = max(b2 * v, abs(g))
        p -= lr * (1 - b2**t) ** 0.5 / (1 - b1**t) * m / (v + eps)
        parameter.grad = torch.tensor([g], dtype=torch.float64)
        optimizer.step()
        assert parameter.item() == pytest.approx(p, rel=1e-12)


def test_glow_adamax_counts_steps_per_parameter() -> None:
    """A parameter that had no gradient in the first step moves as if that step had not been."""
    late, alone = (nn.Parameter(torch.ones(3)) for _ in range(2))
    early = nn.Parameter(torch.ones(2))
    together, single = GlowAdamax([early, late], lr=0.1), GlowAdamax([alone], lr=0.1)
    early.grad = torch.ones(2)
    together.step()
    assert torch.equal(late, torch.ones(3))
    for g in (1.0, -3.0):
        early.grad = torch.full((2,), g)
        late.grad = torch.full((3,), g)
        alone.grad = torch.full((3,), g)
        together.step()
        single.step()
    assert torch.equal(late, alone)


def test_glow_adamax_continues_from_its_state() -> None:
    def steps(optimizer: GlowAdamax, parameter: nn.Parameter, gradients: list[float]) -> None:
        for g in gradients:
            parameter.grad = torch.full_like(parameter, g)
            optimizer.step()

    straight, stopped = (nn.Parameter(torch.ones(3)) for _ in range(2))
    steps(GlowAdamax([straight]), straight, [1.0, 2.0, -3.0, 0.5])
    first = GlowAdamax([stopped])
    steps(first, stopped, [1.0, 2.0])
    second = GlowAdamax([stopped])
    second.load_state_dict(first.state_dict())
    steps(second, stopped, [-3.0, 0.5])
    assert torch.equal(straight, stopped)


def test_adam_norm_grad_is_adam_of_gradients_of_length_one() -> None:
    gradients = {"long": [[3.0, 4.0], [-60.0, 80.0], [0.0, 0.0]], "short": [[1e-7, 0.0], [3e-7, -4e-7], [0.0, 1e-7]]}
    divided = {"long": [[0.6, 0.8], [-0.6, 0.8], [0.0, 0.0]], "short": [[0.5, 0.0], [0.5, -2 / 3], [0.0, 0.5]]}
    found, expected = ({name: nn.Parameter(torch.ones(2, dtype=torch.float64)) for name in gradients} for _ in range(2))
    without = nn.Parameter(torch.ones(2))
    ours = AdamNormGrad([*found.values(), without], lr=0.1, betas=(0.8, 0.9))
    adams = torch.optim.Adam(expected.values(), lr=0.1, betas=(0.8, 0.9))
    calls: list[float] = []
    for t in range(3):
        for name in gradients:
            found[name].grad = torch.tensor(gradients[name][t], dtype=torch.float64)
            expected[name].grad = torch.tensor(divided[name][t], dtype=torch.float64)
        assert ours.step(lambda: calls.append(3.0) or 3.0) == 3.0
        assert len(calls) == t + 1
        adams.step()
        # 1e-7 is added to the norm, by which 4e-7 becomes two thirds.
        assert all(torch.allclose(found[name], expected[name], rtol=0, atol=1e-7) for name in gradients)
    assert torch.equal(without, torch.ones(2))


class DecayedLoc(DiagonalGaussian):
    """A model that names what weight decay applies to."""

    def decayed_parameters(self) -> list[nn.Parameter]:
        return [self.loc]


def test_weight_decay_applies_to_what_the_model_names() -> None:
    def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
        lightning = LikelihoodModule(
            model, module(model).objective, partial(torch.optim.AdamW, weight_decay=0.5, lr=0.1)
        )
        (optimizer,) = lightning.configure_optimizers()
        return optimizer

    named, unnamed = DecayedLoc((2,), None), DiagonalGaussian((2,), None)
    for model in (named, unnamed):
        for parameter in model.parameters():
            parameter.data.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
        optimizer_of(model).step()
    assert named.loc.tolist() == pytest.approx([0.95, 0.95])
    assert named.log_scale.tolist() == [1.0, 1.0]
    assert unnamed.log_scale.tolist() == pytest.approx([0.95, 0.95])


def test_adam_of_normalised_gradients_follows_the_official_recursion() -> None:
    """Each tensor by its own length, the weight decay after that."""
    lr, b1, b2, eps, decay = 0.1, 0.8, 0.7, 1e-8, 0.3
    parameters = [nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64)) for _ in range(2)]
    p, m, v = ([torch.zeros(2, dtype=torch.float64) for _ in range(2)] for _ in range(3))
    p = [parameter.detach().clone() for parameter in parameters]
    optimizer = AdamNormGrad(parameters, lr=lr, betas=(b1, b2), eps=eps, weight_decay=decay)
    for t, size in enumerate([1.0, 1e-3, 50.0], start=1):
        for i, direction in enumerate([[0.5, 2.0], [-1.0, 0.25 * t]]):
            gradient = size * (i + 1) * torch.tensor(direction, dtype=torch.float64)
            parameters[i].grad = gradient.clone()
            g = gradient / (gradient.norm() + 1e-7) + decay * p[i]
            m[i], v[i] = b1 * m[i] + (1 - b1) * g, b2 * v[i] + (1 - b2) * g**2
            p[i] = p[i] - lr * (1 - b2**t) ** 0.5 / (1 - b1**t) * m[i] / (v[i].sqrt() + eps * (1 - b2**t) ** 0.5)
        optimizer.step()
        for found, expected in zip(parameters, p, strict=True):
            torch.testing.assert_close(found.detach(), expected, rtol=1e-10, atol=1e-10)


def test_adam_of_normalised_gradients_calls_its_closure_with_gradients() -> None:
    parameter = nn.Parameter(torch.ones(2))
    optimizer = AdamNormGrad([parameter], lr=0.1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss

    assert float(optimizer.step(closure).detach()) == 2.0
    torch.testing.assert_close(parameter.detach(), torch.full((2,), 0.9))
