"""Flow models: densities that integrate to one, bounds that behave like bounds, samples that agree with scores."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from genmodels.bijections import LearnedTopPrior, Reverse
from genmodels.errors import UserError
from genmodels.models import MAF, NICE, Flow, Glow, RealNVP
from genmodels.networks.data_init import initialize

TINY = {
    "glow": lambda: Glow((1, 2, 2), 2, num_scales=1, num_steps=2, width=6),
    "glow additive, full matrix": lambda: Glow(
        (1, 2, 2), 2, num_scales=1, num_steps=2, width=6, coupling="additive", conv1x1="full"
    ),
    "realnvp": lambda: RealNVP((1, 2, 2), 2, num_scales=1, width=4, num_blocks=1),
    "nice": lambda: NICE((1, 2, 2), 2, width=6, num_hidden=1),
    "nice normal": lambda: NICE((1, 2, 2), 2, width=6, num_hidden=1, prior="normal"),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _disturb(model: Flow) -> Flow:
    """`model` in float64 and eval mode, initialised on data and then moved off its initial parameters."""
    model = model.double()
    x = torch.randint(0, model.levels or 2, (256, *model.shape))
    initialize(model, lambda: model.log_prob(x))
    for _ in range(30):
        model.train().log_prob(x)  # batch norms settle
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture(params=TINY, ids=lambda name: name.replace(" ", "-"))
def tiny(request: pytest.FixtureRequest) -> Flow:
    return _disturb(TINY[request.param]())


def _density(model: Flow, v: Tensor) -> Tensor:
    """p(v) of the continuous flow behind an image model, v [N, *shape]."""
    with torch.no_grad():
        z, log_det = model.bijection(v)
        return torch.exp(log_det + model.base.log_prob(z))


def _cell_probabilities(model: Flow) -> dict[tuple[int, ...], float]:
    """P(x) of all 16 binary 2x2 images by Gauss-Legendre quadrature of the density over each cell."""
    nodes, weights = torch.tensor([0.11270166537925831, 0.5, 0.8872983346207417]), torch.tensor([5.0, 8.0, 5.0]) / 18
    halves = torch.tensor([0.0, 0.5])
    points = (halves[:, None] + 0.5 * nodes).flatten().double()  # 6 nodes on the cell's unit interval
    weight = (0.5 * weights).repeat(2).double()
    grid = torch.cartesian_prod(points, points, points, points)
    volume = torch.cartesian_prod(weight, weight, weight, weight).prod(dim=1)
    probabilities = {}
    for x in itertools.product((0, 1), repeat=4):
        v = ((torch.tensor(x) + grid) / 2).view(-1, 1, 2, 2)
        probabilities[x] = float((_density(model, v) * volume).sum() / 2**4)
    return probabilities


def _integral(density: Callable[[Tensor], Tensor], low: float, high: float, points: int) -> float:
    """Over [low, high]^4 by the trapezoidal rule, spectrally accurate for densities that vanish at the border."""
    axis = torch.linspace(low, high, points, dtype=torch.float64)
    rest = torch.cartesian_prod(axis, axis, axis)
    total = sum(
        float(density(torch.cat((first.expand(len(rest), 1), rest), dim=1).view(-1, 1, 2, 2)).sum()) for first in axis
    )
    return total * float(axis[1] - axis[0]) ** 4


@pytest.mark.parametrize(("name", "low", "high"), [("glow", -1.6, 2.6), ("nice", -4, 5), ("nice normal", -1.6, 2.6)])
def test_density_integrates_to_one(name: str, low: float, high: float) -> None:
    model = _disturb(TINY[name]())
    assert _integral(lambda v: _density(model, v), low, high, points=28) == pytest.approx(1.0, abs=2e-3)


def test_realnvp_density_integrates_to_one() -> None:
    """In logit space, whose whole is the range of the flow: v covers only part of it."""
    model = _disturb(TINY["realnvp"]())
    flow = model.bijection.bijections[1]

    @torch.no_grad()
    def density(u: Tensor) -> Tensor:
        z, log_det = flow(u)
        return torch.exp(log_det + model.base.log_prob(z))

    assert _integral(density, -8.0, 8.0, points=22) == pytest.approx(1.0, abs=5e-3)


@pytest.mark.parametrize(
    "model",
    [
        Glow((1, 4, 4), 17, num_scales=2, num_steps=2, width=8),
        RealNVP((1, 4, 4), 17, num_scales=2, width=4, num_blocks=1),
        NICE((1, 3, 3), 17, width=8, num_hidden=1),
    ],
    ids=["glow", "realnvp", "nice"],
)
def test_log_det_of_whole_models_is_that_of_the_autograd_jacobian(model: Flow) -> None:
    """Also in the composition: couplings across scales, factoring out, learned priors, preprocessing."""
    model = _disturb(model)
    v = torch.empty(2, *model.shape, dtype=torch.float64).uniform_(0.05, 0.95)
    _, log_det = model.bijection(v)
    for sample, value in zip(v, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: model.bijection(x[None])[0][0], sample)
        matrix = jacobian.reshape(sample.numel(), sample.numel())
        torch.testing.assert_close(value, torch.linalg.slogdet(matrix).logabsdet, atol=1e-8, rtol=1e-8)


def test_log_prob_is_an_unbiased_log_weight_and_its_bounds_tighten(tiny: Flow) -> None:
    exact = _cell_probabilities(tiny)
    assert 0.0 < sum(exact.values()) <= 1.0 + 1e-6
    x = torch.tensor(list(exact)).view(16, 1, 2, 2)
    log_p = torch.tensor(list(exact.values()), dtype=torch.float64).log()
    torch.manual_seed(1)
    with torch.no_grad():
        weights = torch.cat([tiny.log_prob(x.repeat(256, 1, 1, 1)).view(256, 16) for _ in range(16)])  # [draws, 16]

    ratio = torch.exp(weights - log_p)  # E = 1 for every image
    error = ratio.std(dim=0) / math.sqrt(len(ratio))
    assert ((ratio.mean(dim=0) - 1.0).abs() < 5.0 * error + 1e-3).all()

    bounds = [torch.logsumexp(weights.view(-1, k, 16), dim=1).sub(math.log(k)).mean(dim=0).mean() for k in (1, 4, 64)]
    assert bounds[0] < bounds[1] < bounds[2] <= log_p.mean() + 1e-3


def test_vectors_are_exact_and_samples_score_the_entropy() -> None:
    """An additive flow's entropy is that of its base minus the log-scale: 2 nats a dimension for the logistic."""
    torch.manual_seed(0)
    model = NICE((5,), None, width=16, num_hidden=1).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    scale = model.bijection.bijections[-1]
    x = model.sample(20000)
    assert model.exact
    assert torch.equal(model.log_prob(x), model.log_prob(x))
    surprise = -model.log_prob(x).detach()
    entropy = 2.0 * 5 - float(scale.log_scale.detach().sum())
    error = float(surprise.std()) / math.sqrt(len(x))
    assert float(surprise.mean()) == pytest.approx(entropy, abs=4 * error)


def test_samples_of_an_image_flow_have_the_probabilities_it_claims() -> None:
    """Frequencies of sampled 2x2 images against quadrature, for a density that keeps to [0, 1]^4."""
    model = _disturb(TINY["nice normal"]())
    with torch.no_grad():  # squeeze the density into the unit cube, so that nothing is clamped into a border cell
        model.bijection.inner.bijections[-1].log_scale.fill_(2.3)
        for index in (1, 2, 3, 4):
            model.bijection.inner.bijections[index].net.layers[-1].bias.fill_(-2.5 if index in (2, 3) else 0.0)
    exact = _cell_probabilities(model)
    draws = 20000
    torch.manual_seed(2)
    x = model.sample(draws).flatten(1)
    inside = sum(exact.values())
    counts = {cell: int((x == torch.tensor(cell, dtype=torch.uint8)).all(dim=1).sum()) for cell in exact}
    for cell, p in exact.items():
        assert abs(counts[cell] / draws - p) < 4 * math.sqrt(p / draws) + (1 - inside) + 1e-3, cell


@pytest.mark.parametrize(
    "model",
    [
        Glow((3, 8, 8), 256, num_scales=2, num_steps=2, width=8),
        Glow((1, 8, 8), 17, num_scales=3, num_steps=1, width=8, permutation="reverse", learn_top=False),
        Glow((3, 4, 8), 32, num_scales=2, num_steps=2, width=8, permutation="shuffle", coupling="additive"),
        RealNVP((3, 8, 8), 256, num_scales=3, width=4, num_blocks=1),
        RealNVP((1, 28, 28), 256, num_scales=2, width=4, num_blocks=1),
        NICE((1, 5, 5), 256, width=8, num_hidden=1),
    ],
    ids=["glow", "glow-reverse", "glow-shuffle", "realnvp", "realnvp-mnist", "nice-odd"],
)
def test_encode_and_decode_are_inverse_on_images(model: Flow) -> None:
    torch.manual_seed(0)
    x = torch.randint(0, model.levels, (64, *model.shape), dtype=torch.uint8)
    initialize(model, lambda: model.log_prob(x))
    for _ in range(50):
        model.train().log_prob(x)
    model.eval()
    z = model.encode(x)
    assert z.shape == x.shape
    assert torch.equal(model.decode(z), x)
    assert model.inverse_error(x) < 1e-3 / model.levels
    samples = model.sample(3, temperature=0.7)
    assert samples.dtype == torch.uint8
    assert samples.shape == (3, *model.shape)
    assert int(samples.max()) < model.levels


def test_temperature_zero_is_the_mode_of_the_base() -> None:
    model = NICE((4,), None, width=8, num_hidden=1)
    samples = model.sample(3, temperature=0.0)
    assert torch.equal(samples[0], samples[1])
    torch.testing.assert_close(samples[0], model.decode(torch.zeros(1, 4))[0])


def test_samples_that_overflow_are_reported_rather_than_black() -> None:
    model = NICE((4,), 256, width=8, num_hidden=1)
    with torch.no_grad():
        model.bijection.bijections[-1].log_scale.fill_(-100.0)
    with pytest.warns(UserWarning, match="3 of 3 samples are not finite"):
        model.sample(3)


def test_class_conditional_glow_learns_a_prior_per_class() -> None:
    torch.manual_seed(0)
    model = Glow((1, 4, 4), 17, num_scales=1, num_steps=1, width=8, conditional=True, num_classes=3).double()
    (top,) = [m for m in model.modules() if isinstance(m, LearnedTopPrior)]
    torch.nn.init.normal_(top.of_class.weight)
    x = torch.randint(0, 17, (5, 1, 4, 4))
    latents = [model.encode(x, torch.full((5,), label)) for label in range(3)]
    assert not torch.allclose(latents[0], latents[1])
    for label, z in enumerate(latents):
        assert torch.equal(model.decode(z, torch.full((5,), label)), x.to(torch.uint8))
    assert model.sample(4).shape == (4, 1, 4, 4)
    with pytest.raises(UserError, match=r"model\.conditional=false"):
        model.log_prob(x)


def test_samples_without_labels_are_of_all_labels_alike() -> None:
    """A flow that moves every class by a hundred, so that samples tell their labels."""
    model = MAF((2,), None, 1, 1, 8, batch_norm=False, conditional=True, num_classes=3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.zero_()
            if name.endswith("of_context.weight"):
                parameter[8:10] = 100.0 * torch.arange(3)  # to the two means, behind the 8 hidden units
    n = 6000
    labels = (model.sample(n) / 100).round().long()
    assert torch.equal(labels[:, 0], labels[:, 1])
    frequency = torch.bincount(labels[:, 0], minlength=3) / n
    assert frequency.shape == (3,)
    assert ((frequency - 1 / 3).abs() < 4.5 * (2 / 9 / n) ** 0.5).all()


def test_edge_channel_tells_padding_from_black() -> None:
    """With it, equal inner neighbourhoods at the border and in the middle give different responses."""
    from genmodels.networks.conv import EdgeAwareConv2d

    conv = EdgeAwareConv2d(1, 2, 3, edge=True)
    for parameter in conv.parameters():
        torch.nn.init.normal_(parameter)
    out = conv.convolve(torch.zeros(1, 1, 5, 5), conv.kernel())
    assert not out[:, :, 1:-1, 1:-1].any()
    assert out[:, :, 0].all()

    padded = torch.nn.functional.pad(torch.randn(2, 1, 5, 5), [1] * 4)
    plane = torch.nn.functional.pad(torch.zeros(2, 1, 5, 5), [1] * 4, value=1.0)
    kernel = torch.cat((conv.weight, conv.edge_weight), dim=1)
    expected = torch.nn.functional.conv2d(torch.cat((padded, plane), dim=1), kernel)  # pad, append the plane, convolve
    torch.testing.assert_close(conv.convolve(padded[:, :, 1:-1, 1:-1], conv.kernel()), expected)


def _count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_published_parameter_counts() -> None:
    """Glow: official architecture, instantiated (44.14M without the edge channel is y0ast's). NICE: by arithmetic."""
    assert _count(Glow((3, 32, 32), 256)) == 44_603_604
    assert round(_count(Glow((3, 32, 32), 256, edge=False)) / 1e6, 2) == 44.14
    assert _count(NICE((1, 28, 28), 256)) == 4 * (392 * 1000 + 4 * 1000 * 1000 + 1000 * 392 + 5 * 1000 + 392) + 784


@pytest.mark.slow
def test_published_parameter_counts_at_imagenet_size() -> None:
    assert _count(Glow((3, 32, 32), 256, num_steps=48)) == 66_861_588
    assert _count(Glow((3, 64, 64), 256, num_scales=4, num_steps=48)) == 112_377_540


def test_realnvp_has_the_size_of_the_ports() -> None:
    """19.63M in chrischute's port, which has other batch norms: within 2%."""
    assert _count(RealNVP((3, 32, 32), 256, 2, 64, 8)) == pytest.approx(19.63e6, rel=0.02)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Glow((1, 28, 28), 256, num_scales=3), r"model\.num_scales=2"),
        (lambda: Glow((2,), None), r"needs images"),
        (lambda: RealNVP((3, 9, 9), 256, num_scales=2), r"model\.num_scales=1"),
        (lambda: RealNVP((3, 8, 8), 256, num_scales=4), r"model\.num_scales=3"),
        (lambda: RealNVP((3, 7, 7), 256, num_scales=0), r"num_scales"),
        (lambda: NICE((1,), None), r"only one"),
        (lambda: NICE((4,), None, num_couplings=1), r"num_couplings"),
        (lambda: Glow((1, 8, 8), 17, conditional=True), r"data\.num_classes"),
        (lambda: Glow((1, 8, 8), 17, conditional=True, num_classes=3, learn_top=False), r"learn_top"),
    ],
)
def test_impossible_models_say_what_would_be_right(make, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=sentence):
        make()


def test_a_flow_without_parameters_is_a_density_all_the_same() -> None:
    """A permutation before a standard normal: nothing to learn, and nothing that says in which type to compute."""
    flow = Flow(Reverse(3), (3,), levels=None)
    x = torch.tensor([[0.0, 1.0, 2.0]])
    expected = -0.5 * (5.0 + 3 * math.log(2 * math.pi))
    assert flow.log_prob(x).item() == pytest.approx(expected, rel=1e-6)
    assert flow.double().log_prob(x).dtype == flow.sample(2).dtype
