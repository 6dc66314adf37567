"""Flow++ as a whole: its log-determinant, its sizes, its initialisation and what its configs may ask for."""

import pytest
import torch

from genmodels.bijections import Coupling
from genmodels.config.checks import check
from genmodels.config.compose import compose
from genmodels.config.targets import build
from genmodels.distributions import UniformDequantization
from genmodels.errors import UserError
from genmodels.models import FlowPP, FlowPPDequantization, Glow
from genmodels.models.flows.flowpp_net import FlowPPNet, ScaledConv
from genmodels.networks.data_init import initialize, needs_initialization

SMALL = {"width": 8, "num_blocks": 1, "num_components": 3, "heads": 2, "dropout": 0.0}
CONTEXT = {"context_width": 4, "context_blocks": 1}
LAYOUT = ("3 columns", "squeeze", "2 channels", "2 columns")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _tiny(**options: object) -> FlowPP:
    """A Flow++ of 4x4 images with variational dequantisation, initialised and moved off its initial parameters."""
    shape = (1, 4, 4)
    settings = SMALL | options
    dequantization = FlowPPDequantization(shape, 17, num_couplings=2, **settings, **CONTEXT)
    model = FlowPP(shape, 17, LAYOUT, **settings, dequantization=dequantization).double()
    x = torch.randint(0, 17, (64, *shape))
    initialize(model, lambda: model.log_prob(x))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


OPTIONS = [{}, {"coupling": "affine"}, {"attention": "pointwise"}, {"attention": "none", "pointwise": False}]


@pytest.mark.parametrize("options", OPTIONS, ids=["full", "affine", "no attention", "plain"])
def test_log_det_is_that_of_the_autograd_jacobian(options: dict) -> None:
    model = _tiny(**options)
    v = torch.empty(2, 1, 4, 4, dtype=torch.float64).uniform_(0.05, 0.95)
    _, log_det = model.bijection(v)
    for sample, value in zip(v, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: model.bijection(x[None])[0][0], sample)
        torch.testing.assert_close(
            value, torch.linalg.slogdet(jacobian.reshape(16, 16)).logabsdet, atol=1e-8, rtol=1e-8
        )


@pytest.mark.parametrize("options", OPTIONS, ids=["full", "affine", "no attention", "plain"])
def test_the_noise_has_the_density_that_its_log_weight_claims(options: dict) -> None:
    """log q by the autograd Jacobian of the whole map from eps to u."""
    dequantization = _tiny(**options).dequantization
    x = torch.randint(0, 17, (2, 1, 4, 4))
    context = dequantization.context(x.double() / 17 - 0.5)
    torch.manual_seed(3)
    v, log_weight = dequantization(x, torch.float64)
    torch.manual_seed(3)
    eps = torch.randn(2, 1, 4, 4, dtype=torch.float64)
    for index in range(2):

        def noise(e: torch.Tensor, given: torch.Tensor = context[index : index + 1]) -> torch.Tensor:
            return torch.sigmoid(dequantization.flow(e[None], given)[0][0])

        torch.testing.assert_close(v[index] * 17 - x[index], noise(eps[index]))
        jacobian = torch.autograd.functional.jacobian(noise, eps[index]).reshape(16, 16)
        log_q = (
            torch.distributions.Normal(0.0, 1.0).log_prob(eps[index]).sum() - torch.linalg.slogdet(jacobian).logabsdet
        )
        torch.testing.assert_close(log_weight[index], -log_q - 16 * torch.log(torch.tensor(17.0).double()))


def test_halves_take_turns_in_each_run_of_couplings() -> None:
    """3 columns, 2 channels, 2 columns."""
    turns = [m.swap for m in _tiny().bijection.modules() if isinstance(m, Coupling)]
    assert turns == [False, True, False, False, True, False, True]


def test_the_noise_depends_on_the_image() -> None:
    dequantization = _tiny().dequantization
    noises = []
    for value in (0, 16):
        torch.manual_seed(1)
        v, _ = dequantization(torch.full((1, 1, 4, 4), value), torch.float64)
        noises.append(v * 17 - value)
    assert float((noises[0] - noises[1]).detach().abs().max()) > 1e-3


def test_encode_and_decode_are_inverse_on_images_in_float32() -> None:
    shape = (3, 8, 8)
    model = FlowPP(shape, 256, LAYOUT, **SMALL)
    x = torch.randint(0, 256, (32, *shape), dtype=torch.uint8)
    initialize(model, lambda: model.log_prob(x))
    model.eval()
    assert torch.equal(model.decode(model.encode(x)), x)
    assert model.inverse_error(x) < 1e-3 / 256
    samples = model.sample(3)
    assert samples.shape == (3, *shape)
    assert samples.dtype == torch.uint8


def test_one_batch_initialises_flow_and_dequantisation() -> None:
    """Afterwards every network's output has mean 0 and deviation 0.1, so that couplings start near the identity."""
    shape = (1, 4, 4)
    dequantization = FlowPPDequantization(shape, 17, num_couplings=2, **SMALL, **CONTEXT)
    model = FlowPP(shape, 17, LAYOUT, **SMALL, dequantization=dequantization).double()
    outputs = []
    nets = [m for m in model.modules() if isinstance(m, FlowPPNet)]
    x = torch.randint(0, 17, (64, *shape))
    assert all(needs_initialization(part) for part in (model.bijection, dequantization.flow, dequantization.context))
    initialize(model, lambda: model.log_prob(x))
    assert not needs_initialization(model)
    hooks = [net.register_forward_hook(lambda *call: outputs.append(call[2].detach())) for net in nets]
    torch.manual_seed(0)
    model.log_prob(x)
    for hook in hooks:
        hook.remove()
    assert len(outputs) == 9
    for output in outputs:
        assert abs(float(output.mean())) < 0.02
        assert 0.08 < float(output.std()) < 0.12


def test_a_scaled_convolution_standardises_its_first_output() -> None:
    x = 5.0 * torch.randn(16, 6, 6, 3) + 2.0
    for size in (1, 3):
        conv = ScaledConv(3, 4, size, init_scale=0.1)
        initialize(conv, lambda conv=conv: conv(x))
        variance, mean = torch.var_mean(conv(x).detach(), dim=(0, 1, 2), correction=0)
        torch.testing.assert_close(mean, torch.zeros(4), atol=1e-6, rtol=0)
        torch.testing.assert_close(variance, torch.full((4,), 0.01))


@pytest.mark.parametrize(("attention", "reaches"), [("self", True), ("pointwise", False), ("none", False)])
def test_attention_alone_lets_far_pixels_see_each_other(attention: str, reaches: bool) -> None:
    net = FlowPPNet(1, 2, (12, 12), width=8, num_blocks=1, heads=2, attention=attention).double()
    x = torch.randn(1, 1, 12, 12, dtype=torch.float64, requires_grad=True)
    net(x)[0, :, 0, 0].sum().backward()
    assert bool(x.grad[0, 0, 8:, 8:].any()) == reaches


def test_attention_is_softmax_of_scaled_products() -> None:
    net = FlowPPNet(1, 2, (2, 3), width=8, num_blocks=1, heads=2).double()
    attention = net.blocks[0].attention
    h = torch.randn(1, 2, 3, 24, dtype=torch.float64)
    flat = h.view(6, 3, 2, 4)
    expected = torch.empty(6, 2, 4, dtype=torch.float64)
    for head in range(2):
        query, key, value = (flat[:, i, head] for i in range(3))
        expected[:, head] = torch.softmax(query @ key.T / 2.0, dim=1) @ value
    torch.testing.assert_close(attention._attend(h), expected.view(1, 2, 3, 8))


def test_any_image_flow_takes_the_variational_dequantisation() -> None:
    shape = (1, 4, 4)
    noise = FlowPPDequantization(shape, 17, num_couplings=2, **SMALL, **CONTEXT)
    model = Glow(shape, 17, num_scales=1, num_steps=1, width=8, dequantization=noise)
    x = torch.randint(0, 17, (8, *shape), dtype=torch.uint8)
    initialize(model, lambda: model.log_prob(x))
    model.log_prob(x).mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in noise.parameters())
    assert torch.equal(model.decode(model.encode(x)), x)


@pytest.mark.parametrize("name", ["glow_small", "realnvp_small", "nice_small", "flowpp_small"])
def test_the_dequantisation_is_a_choice_of_every_image_model(name: str) -> None:
    for choice, expected in (("uniform", UniformDequantization), ("variational_small", FlowPPDequantization)):
        config = compose([f"model={name}", f"model/dequantization={choice}"])
        check(config)
        model = build(config["model"], "model")
        assert type(model.dequantization) is expected
        x = torch.randint(0, 17, (2, 1, 8, 8), dtype=torch.uint8)
        assert model.log_prob(x).isfinite().all()


def _count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_published_parameter_counts() -> None:
    """As the official launchers state them: the full model, and ablations whose widths make up for what they lack."""
    shape = (3, 32, 32)

    def count(dequantization: dict | None, **options: object) -> int:
        noise = None if dequantization is None else FlowPPDequantization(shape, 256, **dequantization)
        return _count(FlowPP(shape, 256, **options, dequantization=noise))

    affine = {"coupling": "affine", "width": 108}
    assert count({}) == 31_443_440
    assert count({"attention": "pointwise"}, attention="pointwise") == 31_443_440
    assert count(affine, **affine) == 32_045_708
    assert count(None, width=104) == 32_324_408


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "published"),
    [
        ("cifar10", 31_443_440),
        ("cifar10_uniform", 32_324_408),
        ("cifar10_affine", 32_045_708),
        ("cifar10_no_attention", 31_443_440),
        ("imagenet32", 168_955_724),
        ("imagenet64", 73_489_960),
    ],
)
def test_recipes_have_the_published_sizes(recipe: str, published: int) -> None:
    model = build(compose([f"experiment=flowpp_{recipe}"])["model"], "model")
    count = _count(model)
    if recipe == "imagenet32":  # weight-normalised in the official code: a gain for every output channel
        count += sum(m.bias.numel() for m in model.modules() if isinstance(m, ScaledConv))
    if recipe == "imagenet64":  # position embeddings that its dequantisation without attention has and never uses
        count += 4 * 64 * 32 * 96
    assert count == published


@pytest.mark.parametrize(
    ("layout", "sentence"),
    [
        (["2 rows"], r"'2 rows' must be 'squeeze' or '<n> columns' or '<n> channels' or '<n> columns or channels'"),
        (["0 columns"], "must be 'squeeze'"),
        (["2 channels"], "halves 3 channels"),
        (["squeeze", "squeeze"], "images of 3x2: both sides must be even"),
        (["squeeze", "2 columns", "squeeze"], "both sides"),
    ],
)
def test_layouts_that_do_not_fit_say_why(layout: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        FlowPP((3, 6, 4), 256, layout, **SMALL)


def test_other_impossible_choices_say_what_would_be_right() -> None:
    with pytest.raises(UserError, match="even width, not 5"):
        FlowPPDequantization((1, 4, 5), 17, **SMALL)
    with pytest.raises(UserError, match="needs images"):
        FlowPP((2,), 17)
    with pytest.raises(UserError, match=r"model\.width=10 must be a multiple of model\.heads=4"):
        FlowPP((1, 4, 4), 17, LAYOUT, width=10)
