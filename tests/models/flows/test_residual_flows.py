"""i-ResNet and Residual Flow: sizes, figures that noise does not flatter, and invertibility after training."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.linalg import vector_norm

from genmodels.bijections import BruteForce, InvertibleResidual, RussianRoulette
from genmodels.errors import UserError
from genmodels.evaluation.metrics.likelihood import log_likelihoods
from genmodels.models import Flow, IResNet, ResidualFlow
from genmodels.networks.data_init import initialize
from genmodels.networks.lipschitz import Lipschitz
from genmodels.objectives import IWAE, NegativeLogLikelihood


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_published_parameter_counts() -> None:
    """Residual Flow's by official code; i-ResNet's likewise, less its classifier: batch norm and a linear layer."""
    with torch.device("meta"):
        classifier = 2 * 48 + (48 * 10 + 10)
        assert _count(IResNet((3, 32, 32), 256)) == 25_028_544 == 25_029_130 - classifier
        assert _count(ResidualFlow((1, 28, 28), 256)) == 16_608_693
        cifar10 = ResidualFlow((3, 32, 32), 256)
        assert _count(cifar10) == 25_174_233
        blocks = 3 * 16 + 4
        assert sum(p.numel() for p in cifar10.parameters() if p.requires_grad) == 25_174_233 - 2 * blocks
        assert _count(ResidualFlow((3, 32, 32), 256, num_blocks=32)) == 47_099_289
        imagenet64 = ResidualFlow((3, 64, 64), 256, num_blocks=32, squeeze_first=True, factor_out=True)
        assert _count(imagenet64) == 53_294_475


@pytest.mark.parametrize("factor_out", [False, True])
def test_log_det_of_whole_models_is_that_of_the_autograd_jacobian(factor_out: bool) -> None:
    model = ResidualFlow((1, 4, 4), 17, num_scales=2, num_blocks=1, width=4, dense_blocks=1, factor_out=factor_out)
    model = model.double().eval()
    v = torch.empty(2, 1, 4, 4, dtype=torch.double).uniform_(0.05, 0.95)
    _, log_det = model.bijection(v)
    for sample, value in zip(v, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: model.bijection(x[None])[0][0], sample)
        torch.testing.assert_close(value, torch.linalg.slogdet(jacobian.view(16, 16)).logabsdet, atol=1e-8, rtol=1e-8)


def _flow(exact_up_to: int) -> ResidualFlow:
    """On vectors, where the answer is known, with log-determinants that are exact or not; the same weights in all."""
    torch.manual_seed(0)
    flow = ResidualFlow((6,), None, num_blocks=4, width=32, log_det=RussianRoulette(exact_up_to=exact_up_to))
    _make_steep(flow)
    return flow.eval()


@torch.no_grad()
def _make_steep(model: Flow) -> None:
    """Let every layer be at its bound, and lead on to what the next one is steep in."""
    for layer in model.modules():
        if isinstance(layer, Lipschitz):
            outputs, inputs, *kernel = layer.weight.shape
            middle = (slice(None), slice(None), *(size // 2 for size in kernel))
            layer.weight.mul_(0.5)
            layer.weight[middle] += torch.eye(outputs, inputs)
            layer.weight.mul_(4.0)


def test_figures_do_not_count_the_noise_of_log_determinants_as_likelihood() -> None:
    """The log of a mean of exponentials of log_prob does."""
    x = torch.randn(20, 6) + 1.0
    exact, noisy = _flow(exact_up_to=6), _flow(exact_up_to=5)
    assert exact.exact
    assert not exact.estimates_log_prob
    assert not noisy.exact
    assert noisy.estimates_log_prob
    with torch.no_grad():
        true = exact.log_prob(x).double()
        draws = torch.stack([noisy.log_prob(x) for _ in range(200)]).double()
    error = draws.mean(dim=1).std() / math.sqrt(len(draws))
    assert abs(float(draws.mean() - true.mean())) < 5 * error  # each is right on average
    naive = (draws.logsumexp(dim=0) - math.log(len(draws))).mean()
    assert float(naive - true.mean()) > 20 * error

    figures = torch.stack([log_likelihoods(noisy, [(x, None)], seed=seed).mean() for seed in range(50)])
    assert abs(float(figures.mean() - true.mean())) < 5 * float(figures.std()) / 50**0.5
    averaged = log_likelihoods(noisy, [(x, None)], importance_samples=200, rows=400).mean()
    assert abs(float(averaged - true.mean())) < 5 * error
    torch.testing.assert_close(log_likelihoods(exact, [(x, None)]), true, atol=1e-4, rtol=0)


def test_more_samples_of_images_with_exact_log_determinants_tighten_the_bound() -> None:
    model = ResidualFlow((1, 4, 4), 17, num_scales=2, num_blocks=1, width=8, dense_blocks=1)
    x = torch.randint(17, (64, 1, 4, 4))
    assert model.estimates_log_prob  # in training
    model.eval()
    assert not model.estimates_log_prob
    one, many = (log_likelihoods(model, [(x, None)], k).mean() for k in (1, 32))
    assert many > one


def test_iwae_is_refused_where_it_would_be_trained_to_be_noisy() -> None:
    with pytest.raises(UserError, match=r"objective=iwae takes the log of a mean.* or exact log-determinants"):
        IWAE().check(ResidualFlow((1, 4, 4), 17, num_blocks=1, width=4, dense_blocks=0))
    IWAE().check(ResidualFlow((1, 4, 4), 17, num_blocks=1, width=4, dense_blocks=0, log_det=BruteForce()))


def test_figures_say_how_their_log_determinants_were_found() -> None:
    assert ResidualFlow((2,), None, num_blocks=1, width=4).protocol == {"log_det": "exact"}
    large = IResNet((3, 8, 8), 256, num_blocks=1, width=4)
    assert large.protocol == {"log_det": "20 terms and a random number more, 1 probe"}


def test_training_figures_are_estimates_of_the_likelihood() -> None:
    """Not the scalar whose gradient is the Neumann estimate, which the official code logs."""
    model = _flow(exact_up_to=6)
    x = torch.randn(40, 6) + 1.0
    with torch.no_grad():
        true = float(-model.log_prob(x).mean())
    model.train()
    for layer in model.modules():
        if isinstance(layer, Lipschitz):
            with torch.no_grad():
                layer.direction.copy_(layer._converged())
    losses = torch.stack([NegativeLogLikelihood()(model, x, None)[1]["nll"] for _ in range(200)])
    assert abs(float(losses.mean()) - true) < 5 * float(losses.std()) / 200**0.5


# ---- after training


def _trained(model: Flow, x: Tensor, steps: int = 40) -> Flow:
    """From steep blocks, and by long steps."""
    _make_steep(model)
    initialize(model, lambda: model.log_prob(x))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    for _ in range(steps):
        optimizer.zero_grad()
        NegativeLogLikelihood()(model, x, None)[0].backward()
        optimizer.step()
    return model.eval()


MAKERS = {
    "iresnet, vectors": lambda: IResNet((2,), None, num_blocks=4, width=32),
    "residual flow, vectors": lambda: ResidualFlow((2,), None, num_blocks=4, width=32),
    "iresnet, images": lambda: IResNet((1, 8, 8), 17, num_scales=2, num_blocks=2, width=16),
    "residual flow, images": lambda: ResidualFlow((1, 8, 8), 17, num_scales=2, num_blocks=2, width=16, dense_blocks=1),
}


def _data(model: Flow) -> Tensor:
    if model.levels is None:
        angle = 2 * math.pi * torch.rand(256)
        return torch.stack((angle.cos(), angle.sin()), dim=1) + 0.1 * torch.randn(256, 2)
    rows = torch.arange(8)
    pattern = (rows[:, None] + rows).remainder(4) * 4
    return (pattern + torch.randint(4, (32, 1, 8, 8))).clamp(0, 16).to(torch.uint8)


@torch.no_grad()
def _largest_singular_value(block: InvertibleResidual, x: Tensor) -> float:
    """Of the network's Jacobians at x, the largest, by power iteration to convergence: w <- J' J w."""
    _, transposed = block.net.linearized(x)
    with torch.enable_grad():
        dummy = torch.zeros_like(x, requires_grad=True)
        image = transposed(dummy)

    def apply(w: Tensor) -> Tensor:  # J w, as the derivative of the transposed product
        return torch.autograd.grad(image, dummy, w, retain_graph=True)[0]

    w = torch.randn_like(x)
    sigma = torch.zeros(())
    for _ in range(100):
        w = transposed(apply(w))
        norms = vector_norm(w.flatten(1), dim=1)
        w = w / norms.view(-1, *[1] * (x.dim() - 1))
        sigma = norms.sqrt().max()
    return float(sigma)


@pytest.mark.parametrize("name", MAKERS)
def test_after_training_blocks_contract_and_the_flow_inverts(name: str, tmp_path: Path) -> None:
    model = MAKERS[name]()
    x = _data(model)
    before = float(-model.eval().log_prob(x).mean().detach())
    model = _trained(model.train(), x)
    assert float(-model.log_prob(x).mean().detach()) < before - 0.1
    inputs: list[tuple[InvertibleResidual, Tensor]] = []
    blocks = [m for m in model.modules() if isinstance(m, InvertibleResidual)]
    hooks = [b.register_forward_pre_hook(lambda b, args: inputs.append((b, args[0].detach()))) for b in blocks]
    model.log_prob(x)
    for hook in hooks:
        hook.remove()
    assert len(inputs) == len(blocks)
    constants = [_largest_singular_value(block, at) for block, at in inputs]
    assert max(constants) < 1.0
    assert max(constants) > 0.2  # there is something to bound
    assert float(model.inverse_error(x)) < 1e-4

    torch.save(model.state_dict(), tmp_path / "weights.pt")
    other = MAKERS[name]().eval()
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert float(other.inverse_error(x)) < 1e-4
    torch.testing.assert_close(other.encode(x), model.encode(x))


def test_averaged_weights_are_normalised_for_themselves() -> None:
    """Whose singular vectors are those of other weights, and whose norms may be larger than of any of them."""
    model = _trained(MAKERS["residual flow, vectors"](), x := _data(MAKERS["residual flow, vectors"]()))
    model.encode(x)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, Lipschitz):
                layer.weight.add_(torch.randn_like(layer.weight))
    assert float(model.inverse_error(x)) < 1e-4
    for layer in model.modules():
        if isinstance(layer, Lipschitz):
            assert float(torch.linalg.matrix_norm(layer.normalized().detach(), 2)) < 0.981


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: ResidualFlow((1, 9, 9), 17, squeeze_first=True),
            r"model\.squeeze_first=true .* 9x9 .* set it to false",
        ),
        (lambda: ResidualFlow((1, 8, 8), 17, num_scales=4), r"model\.num_scales=3"),
        (lambda: IResNet((1, 9, 9), 17), "9x9 cannot be halved"),
        (lambda: ResidualFlow((2,), None, lipschitz=1.0), r"model\.lipschitz must lie between 0 and 1, got 1\.0"),
        (lambda: IResNet((2,), None, power_iterations=0), r"model\.power_iterations must be at least 1"),
    ],
)
def test_impossible_models_say_what_would_be_right(make, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=sentence):
        make()
