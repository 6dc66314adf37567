"""IAF-VAE: sizes, masks, log-determinants, units, and that its log-weights average to a distribution."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import run_program
from model_configs import data_node, model_node
from torch import Tensor

from genmodels.config.compose import compose
from genmodels.config.targets import build
from genmodels.distributions import DiscretizedLogistic
from genmodels.errors import UserError
from genmodels.experiment import train
from genmodels.models import IAFVAE, Terms
from genmodels.models.vaes.iaf_step import IAFStep
from genmodels.models.vaes.iaf_vae import _kl
from genmodels.models.vaes.iaf_vae_block import Normal
from genmodels.networks.data_init import initialize, needs_initialization
from genmodels.networks.same_conv import DoublingConv2d, SameConv2d
from genmodels.networks.weight_norm import WeightNormalized

PIXELS = (2, 3, 2)  # channels, height and width of latents
STEPS = ((0, 0), (0, 1), (1, -1), (1, 0), (1, 1))  # from a pixel to those that a 3x3 kernel sees


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _model(shape: tuple[int, int, int] = (3, 8, 8), levels: int = 256, **sizes: Any) -> IAFVAE:
    sizes = {"num_blocks": 2, "width": 8, "num_latents": 4, **sizes}
    model = IAFVAE(shape, DiscretizedLogistic(shape, levels), **sizes).double()
    with torch.no_grad():
        model.top.normal_()
    return model


def _images(model: IAFVAE, n: int) -> Tensor:
    return torch.randint(model.levels, (n, *model.shape), dtype=torch.uint8)


@pytest.mark.parametrize(("iaf", "parameters"), [(True, 41_557_927), (False, 34_169_767)])
def test_at_the_papers_size_it_has_the_official_codes_parameters(iaf: bool, parameters: int) -> None:
    node = model_node("iaf_vae", data_node("cifar10"))
    with torch.device("meta"):
        model = build({**node, "iaf": iaf}, "model")
    assert sum(p.numel() for p in model.parameters()) == parameters


def _reached(num_hidden: int) -> set[tuple[int, int]]:
    """Rows and columns from a pixel to those that its mean and scale depend on."""
    ways = itertools.product(STEPS, repeat=num_hidden + 1)
    return {(sum(row for row, _ in way), sum(column for _, column in way)) for way in ways}


@pytest.mark.parametrize("num_hidden", [1, 2])
def test_a_step_depends_on_all_that_comes_before_within_its_kernels_reach_and_on_nothing_else(num_hidden: int) -> None:
    channels, side = 3, 7
    step = IAFStep(channels, 6, num_hidden).double()
    z = torch.randn(1, channels, side, side, dtype=torch.double, requires_grad=True)
    context = torch.randn(1, 6, side, side, dtype=torch.double)
    moved, log_scale = step(z, context)
    mean = z - moved * log_scale.exp()
    reached = _reached(num_hidden)
    for c, i, j in [(0, 3, 3), (1, 3, 3), (2, 3, 3), (0, 0, 0), (2, 6, 6), (1, 2, 5)]:
        expected = torch.zeros(channels, side, side, dtype=torch.bool)
        for row, column in reached:
            if 0 <= i + row < side and 0 <= j + column < side:
                earlier = c if (row, column) == (0, 0) else channels
                expected[:earlier, i + row, j + column] = True
        for out in (log_scale, mean):
            (gradient,) = torch.autograd.grad(out[0, c, i, j], z, retain_graph=True)
            assert torch.equal(gradient[0].abs() > 1e-14, expected), (c, i, j)


def test_a_step_sees_pixels_below_and_to_the_right_of_its_own() -> None:
    assert all(row > 0 or (row == 0 and column >= 0) for row, column in _reached(2))


def test_the_scales_of_a_step_are_its_log_determinant() -> None:
    step = IAFStep(PIXELS[0], 4, 2).double()
    with torch.no_grad():
        step.last.scale.fill_(8.0)
    z, context = torch.randn(*PIXELS, dtype=torch.double), torch.randn(1, 4, *PIXELS[1:], dtype=torch.double)
    jacobian = torch.autograd.functional.jacobian(lambda z: step(z[None], context)[0][0], z).view(12, 12)
    log_scale = step(z[None], context)[1]
    assert log_scale.abs().max() > 0.05
    torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, -log_scale.sum())


def test_a_step_looks_at_its_context() -> None:
    step = IAFStep(PIXELS[0], 4, 1)
    z, context = torch.randn(1, *PIXELS), torch.randn(1, 4, *PIXELS[1:], requires_grad=True)
    (gradient,) = torch.autograd.grad(step(z, context)[0].sum(), context)
    assert (gradient.abs().sum(dim=(0, 2, 3)) > 0).all()


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (1, 2)])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_doubling_is_the_transpose_of_halving(size: tuple[int, int], kernel_size: int) -> None:
    """<halve(x), y> = <x, double(y)> for one and the same kernel."""
    halve, double = SameConv2d(2, 3, kernel_size, 2).double(), DoublingConv2d(3, 2, kernel_size).double()
    with torch.no_grad():
        double.weight.copy_(halve.weight.transpose(0, 1))
        halve.scale.copy_(halve.weight.flatten(1).norm(dim=1))
        double.scale.copy_(double.weight.flatten(1).norm(dim=1))
    x = torch.randn(1, 2, *size, dtype=torch.double)
    small = halve(x)
    assert small.shape[2:] == tuple((n + 1) // 2 for n in size)
    y = torch.randn_like(small)
    torch.testing.assert_close((small * y).sum(), (x * double(y, size)).sum())


def _outputs(model: IAFVAE) -> dict[str, Tensor]:
    """What every normalised layer gives as a batch passes."""
    found: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_hook(lambda _, __, out, name=name: found.update({name: out}))
        for name, layer in model.named_modules()
        if isinstance(layer, WeightNormalized)
    ]
    torch.manual_seed(1)
    model.log_prob(_images(model, 16))
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("depth", [1, 2])
def test_the_first_batch_leaves_every_layer_with_mean_zero_and_its_deviation(depth: int) -> None:
    model = _model(depth=depth)
    torch.manual_seed(1)
    x = _images(model, 16)
    initialize(model, lambda: model.log_prob(x))
    assert not needs_initialization(model)
    outputs = _outputs(model)
    assert len(outputs) == 2 + depth * 2 * 7
    for name, out in outputs.items():
        if name == f"blocks.{2 * depth - 1}.down_first":
            continue  # sees the top, which is constant
        expected = 1.0 if ".step." in name else 0.1
        assert out.mean(dim=(0, 2, 3)).abs().max() < 1e-9, name
        assert (out.std(dim=(0, 2, 3), correction=0) - expected).abs().max() < 1e-4 * expected, name


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("iaf", [True, False])
def test_a_gradient_reaches_every_parameter_that_is_trained(depth: int, iaf: bool) -> None:
    model = _model(depth=depth, iaf=iaf)
    model.log_prob(_images(model, 4)).sum().backward()
    for name, parameter in model.named_parameters():
        if not name.startswith(f"blocks.{2 * depth - 1}.up_second"):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
        else:
            assert not parameter.requires_grad


def test_terms_are_of_layers_and_channels_and_sum_to_the_log_weights() -> None:
    model = _model(depth=2)
    terms = model.terms(_images(model, 3), samples=5)
    assert [tuple(z.shape) for z in terms.latents] == [(5, 3, 4, 2, 2)] * 2 + [(5, 3, 4, 4, 4)] * 2
    assert [tuple(r.shape) for r in terms.log_ratios] == [(5, 3, 4)] * 4
    assert [tuple(kl.shape) for kl in terms.kls] == [(3, 4)] * 4
    for ratio, kl in zip(terms.log_ratios, terms.kls, strict=True):
        torch.testing.assert_close(ratio.mean(dim=0), kl)


def test_draws_keep_to_their_image_and_to_themselves() -> None:
    model = _model()
    x, others = _images(model, 2), _images(model, 2)

    def terms(x: Tensor) -> Terms:
        torch.manual_seed(2)
        return model.terms(x, samples=3)

    log_weights = terms(x).log_weights
    same = terms(torch.cat((x[:1], others[1:]))).log_weights == log_weights
    assert same.tolist() == [[True, False]] * 3
    found = terms(x)
    for gradient in torch.autograd.grad(found.log_weights[1, 0], found.latents):
        assert (gradient.flatten(2).abs().sum(dim=2) > 0).tolist() == [[False, False], [True, False], [False, False]]


def test_the_divergence_of_a_diagonal_posterior_is_that_of_torch_and_the_mean_of_the_ratios() -> None:
    mean, other = (torch.randn(6, 2, 3, 3, dtype=torch.double) for _ in range(2))
    q, p = Normal(mean, 0.3 * other), Normal(other, 0.2 * mean)
    normals = [torch.distributions.Normal(n.mean, n.log_scale.exp()) for n in (q, p)]
    expected = torch.distributions.kl_divergence(*normals).sum(dim=(2, 3)).view(2, 3, 2).mean(dim=0)
    torch.testing.assert_close(_kl(q, p, 2), expected)
    model = _model(iaf=False)
    terms = model.terms(_images(model, 2), samples=4000)
    for ratio, kl in zip(terms.log_ratios, terms.kls, strict=True):
        error = ratio.std(dim=0) / 4000**0.5
        # Closed form given the latents above, whose own spread the ratios' covers.
        assert ((ratio.mean(dim=0) - kl).abs() < 5 * error).all()


@pytest.mark.parametrize("iaf", [True, False])
@torch.no_grad()
def test_log_weights_average_to_a_distribution_which_is_that_of_the_samples(iaf: bool) -> None:
    """On images of four pixels with two values, of which there are 16."""
    model = _model((1, 2, 2), levels=2, iaf=iaf, width=4, num_latents=2).eval()
    model.likelihood.log_scale.fill_(-1.5)
    model.head.scale.fill_(2.0)
    for block in model.blocks if iaf else ():
        block.step.last.scale.fill_(8.0)
        block.step.last.bias[2:] = -5.0  # a q that is wider than p, lest single weights outweigh the rest
    every = torch.cartesian_prod(*[torch.arange(2)] * 4).view(-1, 1, 2, 2)
    weights = model.terms(every, samples=20_000).log_weights.exp()
    p, error = weights.mean(dim=0), weights.std(dim=0) / 20_000**0.5
    assert abs(p.sum() - 1) < 4 * error.square().sum().sqrt()
    assert p.max() > 2 * p.min()
    drawn = torch.tensor([8, 4, 2, 1]) @ model.sample(40_000).flatten(1).long().T
    frequency = torch.bincount(drawn, minlength=16) / 40_000
    assert ((frequency - p).abs() < 4.5 * (p / 40_000 + error.square()).sqrt()).all()


@torch.no_grad()
def test_a_temperature_multiplies_the_noise_of_all_layers() -> None:
    model = _model(depth=2).eval()
    model.likelihood.log_scale.fill_(-20.0)
    model.head.scale.fill_(0.3)
    cold = model.sample(5, temperature=0.0)
    assert torch.equal(cold, cold[:1].expand_as(cold))
    assert not torch.equal(model.sample(5)[0], model.sample(5)[1])
    torch.testing.assert_close(cold[:1].int(), model.decode(torch.zeros(1, 160).double()).int(), atol=1, rtol=0)


@pytest.mark.parametrize("iaf", [True, False])
@torch.no_grad()
def test_encoding_gives_the_noise_that_decodes_to_the_posteriors_centre(iaf: bool) -> None:
    model = _model(depth=2, iaf=iaf).eval()
    for block in model.blocks:
        block.up_first.bias[4:8] -= 40.0  # log sigma of q, so that all draws are its centre
    x = _images(model, 3)
    terms, z = model.terms(x), model.encode(x)
    assert z.shape == (3, 160)
    params = model._decoded(z)
    torch.testing.assert_close(model.likelihood.log_prob(params, x).sum(dim=(1, 2)), terms.log_likelihood[0])
    torch.testing.assert_close(model.decode(z), model.decode(z))
    torch.testing.assert_close(model.decode_mean(z), model.likelihood.mean(params))


@pytest.mark.parametrize("shape", [(3, 33, 33), (1, 28, 28), (3, 50, 50), (1, 3, 1)])
def test_sides_need_not_be_even(shape: tuple[int, int, int]) -> None:
    model = _model(shape, depth=3)
    x = _images(model, 2)
    assert model.log_prob(x).isfinite().all()
    assert model.decode(model.encode(x)).shape == x.shape
    assert model.sample(2).shape == x.shape


@pytest.mark.parametrize("gradient", ["sticking", "score"])
def test_a_gradient_that_it_does_not_have_is_refused(gradient: str) -> None:
    model = _model()
    with pytest.raises(UserError, match=r"leave it at reparametrised"):
        model.terms(_images(model, 1), gradient=gradient)  # type: ignore[arg-type]


def test_channels_that_do_not_come_in_groups_are_refused() -> None:
    with pytest.raises(UserError, match=r"model\.width=8 has to be a multiple of model\.num_latents=3"):
        _model(num_latents=3)


TINY = ("model=iaf_vae_small", "model.num_blocks=2", "model.width=8", "model.num_latents=4", "trainer=cpu")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("iaf_vae") / "run"
    train(compose([*TINY, "model.likelihood.tails=false", "trainer.max_steps=6", "logger=csv"]), folder)
    return folder


def test_every_figure_says_that_the_likelihood_does_not_sum_to_one(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = ("metrics=[likelihood,reconstruction,active_units]", "max_images=20", "importance_samples=2")
    said = run_program("evaluate", f"run={finished}", *metrics, capture=capsys).out
    assert "(bound, K=2, 20 examples, likelihood without tails, sums to less than 1)" in said
    assert said.count("likelihood without tails") == 3
    kept = json.loads((finished / "metrics.json").read_text())
    assert {entry["protocol"]["likelihood"] for entry in kept.values()} == {"without tails, sums to less than 1"}


def test_a_resumed_run_is_the_uninterrupted_one(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    straight = tmp_path / "straight"
    train(compose([*TINY, "model.likelihood.tails=false", "logger=csv", "trainer.max_steps=9"]), straight)
    run_program("train", f"resume={finished}", "trainer.max_steps=9", capture=capsys)
    resumed, whole = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True) for folder in (finished, straight)
    )
    assert resumed["global_step"] == whole["global_step"] == 9
    for name, value in whole["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], value), name
