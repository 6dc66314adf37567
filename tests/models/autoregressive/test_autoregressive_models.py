"""MADE, MAF, MAF MoG and IAF: densities, samples, sizes, and the statistics of MAF's batch norm."""

import pytest
import torch
from torch import Tensor

from genmodels.bijections import WholeSetBatchNorm
from genmodels.distributions import MixtureMADE
from genmodels.errors import UserError
from genmodels.models import IAF, MADE, MAF, Flow, FlowPPDequantization, MAFMoG
from genmodels.networks.made_net import MADENet

PLANE = {
    "made": lambda: MADE((2,), None, width=8, activation="tanh"),
    "made mog": lambda: MADE((2,), None, num_components=3, width=8, activation="tanh"),
    "maf": lambda: MAF((2,), None, num_layers=2, width=8, activation="tanh"),
    "maf mog": lambda: MAFMoG((2,), None, num_layers=1, num_components=3, width=8, activation="tanh"),
    "iaf": lambda: IAF((2,), None, num_layers=2, width=8, activation="tanh"),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=PLANE, ids=lambda name: name.replace(" ", "-"))
def plane(request: pytest.FixtureRequest) -> Flow:
    """A flow on the plane, in float64 and eval mode, away from its initial parameters."""
    model = PLANE[request.param]().double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@torch.no_grad()
def test_samples_have_the_density_that_integrates_to_one(plane: Flow) -> None:
    """The trapezoidal rule over a wide grid, and over each cell of a coarse one against frequencies of samples."""
    axis = torch.linspace(-25, 25, 1501, dtype=torch.float64)
    step = float(axis[1] - axis[0])
    grid = torch.cartesian_prod(axis, axis)
    mass = torch.cat([plane.log_prob(part).exp() for part in grid.split(200_000)]) * step**2
    assert float(mass.sum()) == pytest.approx(1.0, abs=1e-3)

    edges = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64) + step / 2

    def cell(points: Tensor) -> Tensor:
        return 4 * torch.bucketize(points[:, 0].contiguous(), edges) + torch.bucketize(points[:, 1].contiguous(), edges)

    expected = torch.zeros(16, dtype=torch.float64).index_add(0, cell(grid), mass)
    draws = 40_000
    frequency = torch.bincount(cell(plane.sample(draws)), minlength=16) / draws
    error = (expected * (1 - expected) / draws).sqrt()
    assert ((frequency - expected).abs() < 4 * error + 2e-3).all()


def test_mixture_conditionals_are_those_of_torch() -> None:
    net = MADENet(4, 6, [32, 32], order=torch.tensor([2, 0, 3, 1]))
    base = MixtureMADE((1, 2, 2), net, num_components=2).double()
    z = torch.randn(5, 1, 2, 2, dtype=torch.float64)
    logits, mean, log_variance = net(z.flatten(1)).view(5, 3, 2, 4).transpose(2, 3).unbind(1)
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=logits), torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    )
    torch.testing.assert_close(base.log_prob(z), mixture.log_prob(z.flatten(1)).sum(dim=1))


def test_components_that_see_nothing_start_apart() -> None:
    model = MADE((3,), None, num_components=4, width=8)
    x = torch.randn(64, 3)
    model.log_prob(x).sum().backward()
    gradient = model.base.net.output_bias.grad.view(3, 4, 3)[:, :, 0]  # type: ignore[union-attr,operator]
    assert all(len(of_kind.unique()) == 4 for of_kind in gradient)


def test_batch_norm_normalises_scales_and_shifts() -> None:
    norm = WholeSetBatchNorm(2)
    with torch.no_grad():
        norm.gamma.copy_(torch.tensor([0.0, 1.0]))
        norm.beta.copy_(torch.tensor([-1.0, 2.0]))
    x = torch.tensor([3.0, -5.0]) + torch.tensor([0.01, 4.0]) * torch.randn(1000, 2)
    z, log_det = norm.train()(x)
    var = x.var(dim=0, correction=0)
    torch.testing.assert_close(z.mean(dim=0), norm.beta.detach(), atol=1e-4, rtol=0.0)
    expected = norm.gamma.exp() * (var / (var + 1e-5)).sqrt()  # eps inside, as large as a tenth of the variance here
    torch.testing.assert_close(z.std(dim=0, correction=0), expected)
    torch.testing.assert_close(log_det, (1.0 - 0.5 * (var + 1e-5).log().sum()).expand(1000))


@pytest.mark.parametrize("shape", [(3,), (1, 2, 2)])
def test_statistics_are_those_of_the_whole_set_in_one_batch(shape: tuple[int, ...]) -> None:
    levels = None if len(shape) == 1 else 5
    model = MAF(shape, levels, num_layers=3, width=8, alpha=0.05).double()
    x = torch.randn(70, *shape).double() if levels is None else torch.randint(0, 5, (70, *shape), dtype=torch.uint8)
    torch.manual_seed(3)
    with torch.no_grad():
        expected = model.train().log_prob(x)
    torch.manual_seed(3)
    model.set_statistics((part, None) for part in ([x] if levels else x.split(32)))
    assert model.training
    torch.manual_seed(3)
    torch.testing.assert_close(model.eval().log_prob(x), expected)


def test_statistics_of_a_class_conditional_model_are_those_given_the_classes() -> None:
    model = MAF((3,), None, num_layers=3, width=8, conditional=True, num_classes=4).double()
    x, y = torch.randn(70, 3).double(), torch.randint(4, (70,))
    with torch.no_grad():
        expected = model.train().log_prob(x, y)
    model.set_statistics(zip(x.split(32), y.split(32), strict=True))
    torch.testing.assert_close(model.eval().log_prob(x, y), expected)


@pytest.mark.parametrize("model", [MAF, IAF])
def test_classes_without_data_of_classes_are_refused(model: type[Flow]) -> None:
    with pytest.raises(UserError, match=r"model\.conditional=true needs data with classes"):
        model((3,), None, conditional=True)  # type: ignore[call-arg]


@pytest.mark.parametrize("model", [MAF, IAF])
def test_the_density_of_each_class_integrates_to_one_and_is_its_own(model: type[Flow]) -> None:
    flow = model((2,), None, num_layers=2, width=8, activation="tanh", conditional=True, num_classes=2)  # type: ignore[call-arg]
    flow.double().eval()
    axis = torch.linspace(-25, 25, 801, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        densities = [flow.log_prob(grid, torch.full((len(grid),), label)).exp() for label in (0, 1)]
    for density in densities:
        assert float(density.sum()) * float(axis[1] - axis[0]) ** 2 == pytest.approx(1.0, abs=1e-3)
    assert float((densities[0] - densities[1]).abs().sum()) * float(axis[1] - axis[0]) ** 2 > 0.1


def test_variational_dequantization_is_used_where_given() -> None:
    noise = FlowPPDequantization((1, 4, 4), 16, num_couplings=1, num_blocks=1, width=4, num_components=2, heads=1)
    model = MAF((1, 4, 4), 16, num_layers=1, width=16, batch_norm=False, alpha=0.05, dequantization=noise)
    model.log_prob(torch.randint(0, 16, (5, 1, 4, 4), dtype=torch.uint8)).sum().backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in noise.parameters())


def test_published_sizes() -> None:
    """5 x MADE(512, 512) on 43 dimensions: 1,646,510 in nflows, normflows and zuko, and 2 x 43 a batch norm."""
    assert sum(p.numel() for p in MAF((43,), None, batch_norm=False).parameters()) == 1_646_510
    assert sum(p.numel() for p in MAF((43,), None).parameters()) == 1_646_510 + 5 * 2 * 43


@pytest.mark.parametrize("model", [MAF, IAF])
@pytest.mark.parametrize(("num_layers", "dense"), [(1, False), (2, True)])
def test_orders_alternate_from_layer_to_layer(model: type[Flow], num_layers: int, dense: bool) -> None:
    """In one layer the first dimension sees no other; after two every latent has seen every dimension."""
    flow = model((3,), None, num_layers=num_layers, width=16, activation="tanh").double().eval()  # type: ignore[call-arg]
    x = torch.randn(3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow.bijection(v[None])[0][0], x)
    assert bool((jacobian != 0).all()) is dense


@pytest.mark.parametrize("model", [MADE, MAF, MAFMoG, IAF])
def test_images_are_flattened_behind_a_logit(model: type[Flow]) -> None:
    flow = model((1, 2, 3), 16, width=12, alpha=0.05)  # type: ignore[call-arg]
    x = torch.randint(0, 16, (20, 1, 2, 3), dtype=torch.uint8)
    for _ in range(30):
        flow.train().log_prob(x)
    flow.eval()
    assert torch.equal(flow.decode(flow.encode(x)), x)
    assert flow.sample(3).shape == (3, 1, 2, 3)
    assert flow.log_prob(x).isfinite().all()
    assert not flow.exact


@pytest.mark.parametrize("model", [MADE, MAF, MAFMoG, IAF])
def test_a_network_without_hidden_layers_is_refused(model: type[Flow]) -> None:
    with pytest.raises(UserError, match=r"model\.num_hidden"):
        model((3,), None, num_hidden=0)  # type: ignore[call-arg]
