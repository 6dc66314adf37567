"""What every bijection must fulfil. A new one joins by being listed in BIJECTIONS."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from genmodels.bijections import (
    PLU,
    QR,
    ActNorm,
    ActNormConv1x1,
    Additive,
    Autoregressive,
    Bijection,
    BruteForce,
    Centre,
    ColumnSplit,
    Compose,
    Continuous,
    Coupling,
    Diagonal,
    FactorOut,
    Flattened,
    Flip,
    FlowBatchNorm,
    Gated,
    GaussianConditional,
    Integration,
    Inverse,
    InvertibleConv1x1,
    InvertibleResidual,
    LearnedTopPrior,
    Logit,
    MaskedCoupling,
    MixtureLogistic,
    OnHalf,
    Patched,
    Permutation,
    Planar,
    PositionNorm,
    PowerSeries,
    Radial,
    Reverse,
    Scale,
    ScaleShift,
    Shift,
    Shuffle,
    SigmoidAffine,
    Solver,
    Squeezed,
    Standardize,
    TanhAffine,
    Triangular,
    WholeSetBatchNorm,
    checkerboard,
)
from genmodels.models.flows.glow_net import GlowNet
from genmodels.models.flows.invertible_residual_flow import conv_net, dense_net
from genmodels.models.flows.irevnet import irevnet_body
from genmodels.models.flows.realnvp_net import RealNVPNet
from genmodels.networks import CausalTransformer, ConvField, MLPField
from genmodels.networks.conv import ZeroConv2d
from genmodels.networks.made_net import MADENet
from genmodels.networks.mlp import MLP
from genmodels.networks.slope_one import ELU, LipSwish

MASK = checkerboard(2, 4)
EXACT = Integration(Solver("dopri8", 1e-11, 1e-11), "exact")
BACKPROPAGATED = Integration(Solver("dopri8", 1e-11, 1e-11, adjoint=False), "exact")


def _random_made() -> MADENet:
    return MADENet(4, 2, [12, 12], torch.tensor([2, 0, 3, 1]), degrees="random", activation="tanh")


# name -> (constructor, shape of one x); x is drawn in (0.05, 0.95), inside the domain of all of them.
BIJECTIONS: dict[str, tuple[Callable[[], Bijection], tuple[int, ...]]] = {
    "actnorm vector": (lambda: ActNorm(5), (5,)),
    "actnorm image": (lambda: ActNorm(3), (3, 2, 2)),
    "actnorm, plain scale": (lambda: ActNorm(3, log_scale_factor=1.0, smallest_variance=0.2), (3, 2, 2)),
    "additive coupling": (lambda: Coupling(MLP(3, 2, 8, 1), Additive()), (5,)),
    "sigmoid coupling": (lambda: Coupling(GlowNet(2, 4, 6, edge=True), SigmoidAffine()), (4, 2, 2)),
    "sigmoid coupling swapped": (lambda: Coupling(GlowNet(2, 4, 6), SigmoidAffine(), swap=True), (4, 2, 2)),
    "tanh coupling, odd dimensions": (lambda: Coupling(MLP(3, 4, 8, 1), TanhAffine(0.7)), (5,)),
    "masked coupling": (lambda: MaskedCoupling(RealNVPNet(1, 2, 6, 1, MASK), TanhAffine(0.7), MASK), (1, 2, 4)),
    "channel coupling": (lambda: Coupling(RealNVPNet(2, 4, 6, 1), TanhAffine(0.7)), (4, 1, 2)),
    "batch norm": (lambda: FlowBatchNorm(3), (3, 2, 2)),
    "batch norm masked": (lambda: FlowBatchNorm(1, 1 - MASK), (1, 2, 4)),
    "permutation": (lambda: Permutation(torch.tensor([2, 0, 3, 1])), (4, 2)),
    "reverse": (lambda: Reverse(5), (5,)),
    "shuffle": (lambda: Shuffle(6), (6,)),
    "1x1 convolution, LU": (lambda: InvertibleConv1x1(4), (4, 2, 3)),
    "1x1 convolution, full": (lambda: InvertibleConv1x1(4, lu=False), (4, 2, 3)),
    "actnorm and 1x1 convolution": (lambda: ActNormConv1x1(4), (4, 2, 3)),
    "squeezed, channel-major": (lambda: Squeezed(ActNorm(4)), (1, 4, 2)),
    "squeezed, space-to-depth": (lambda: Squeezed(ActNorm(8), order="space_to_depth"), (2, 2, 2)),
    "squeezed, diagonal": (lambda: Squeezed(ActNorm(8), order="diagonal"), (2, 2, 2)),
    "on first half": (lambda: OnHalf(ActNorm(2)), (4, 2)),
    "on second half": (lambda: OnHalf(ActNorm(2), second=True), (4, 2)),
    "factor out": (lambda: FactorOut(ActNorm(2)), (4, 2, 1)),
    "factor out, learned prior": (lambda: FactorOut(ActNorm(2), ZeroConv2d(2, 4, edge=True)), (4, 2, 1)),
    "top prior": (lambda: LearnedTopPrior(3, edge=True), (3, 2, 2)),
    "standardize": (lambda: Coupling(MLP(2, 4, 8, 1), Standardize()), (4,)),
    "logit": (lambda: Logit(0.05), (2, 2, 1)),
    "shift": (lambda: Shift(-0.5), (4,)),
    "scale": (lambda: Scale(4), (4,)),
    "flattened": (lambda: Flattened(Scale(4), (1, 2, 2)), (1, 2, 2)),
    "inverse": (lambda: Inverse(Coupling(MLP(2, 4, 8, 1), SigmoidAffine())), (4,)),
    "mixture-of-logistics coupling": (lambda: Coupling(MLP(2, 22, 8, 1), MixtureLogistic(3)), (4,)),
    "scale and shift coupling": (lambda: Coupling(MLP(2, 4, 8, 1), ScaleShift()), (4,)),
    "column split": (lambda: ColumnSplit(ActNorm(4)), (2, 2, 4)),
    "position norm": (lambda: PositionNorm((2, 2, 2)), (2, 2, 2)),
    "1x1 convolution near the identity": (lambda: InvertibleConv1x1(3, lu=False, identity_noise=0.001), (3, 2, 2)),
    "autoregressive": (lambda: Autoregressive(MADENet(4, 2, [9, 9]), GaussianConditional()), (4,)),
    "autoregressive, random": (lambda: Autoregressive(_random_made(), GaussianConditional()), (4,)),
    "inverse autoregressive": (lambda: Inverse(Autoregressive(MADENet(4, 2, [9]), GaussianConditional())), (4,)),
    "gated autoregressive": (lambda: Autoregressive(MADENet(4, 2, [9], activation="elu"), Gated()), (4,)),
    "autoregressive over tokens": (
        lambda: Autoregressive(CausalTransformer(4, 2, 2, 8, 2, 2), Standardize()),
        (4, 2),
    ),
    "flip": (lambda: Flip(), (3, 2)),
    "patches": (
        lambda: Patched(Autoregressive(CausalTransformer(2, 8, 2, 4, 1, 1), Standardize()), 2),
        (2, 4, 2),
    ),
    "planar": (lambda: Planar(3), (3,)),
    "radial": (lambda: Radial(3), (3,)),
    "batch norm, whole set": (lambda: WholeSetBatchNorm(4), (4,)),
    "diagonal": (lambda: Diagonal(4), (4,)),
    "lower triangle": (lambda: Triangular(4), (4,)),
    "upper triangle": (lambda: Triangular(4, upper=True), (4,)),
    "PLU": (lambda: PLU(4), (4,)),
    "QR": (lambda: QR(4), (4,)),
    "QR of two reflections": (lambda: QR(4, num_reflections=2), (4,)),
    "centre": (lambda: Centre(), (2, 2, 1)),
    "continuous, adjoint": (lambda: Continuous(MLPField(4, 1).network([3]), EXACT), (3,)),
    "continuous, image": (lambda: Continuous(ConvField(2, 1).network([1, 2, 2]), BACKPROPAGATED), (1, 2, 2)),
    "residual": (
        lambda: InvertibleResidual(dense_net(3, 8, 2, LipSwish, 0.9, None, is_first=False), BruteForce()),
        (3,),
    ),
    "residual, convolutions": (
        lambda: InvertibleResidual(conv_net(2, (2, 3), 5, ELU, 0.9, 5, is_first=True), PowerSeries()),
        (2, 2, 3),
    ),
    "i-RevNet": (lambda: irevnet_body(1, (2, 2), (2, 1), width=8), (1, 4, 4)),
    "i-RevNet, three squeezes": (lambda: irevnet_body(1, (1, 2), (2, 2), kernel_sizes=(3, 3, 3)), (1, 8, 8)),
    "compose": (lambda: Compose([ActNorm(4), Coupling(MLP(2, 4, 8, 1), SigmoidAffine()), Reverse(4)]), (4,)),
}


@pytest.fixture(params=BIJECTIONS, ids=lambda name: name.replace(" ", "-"))
def case(request: pytest.FixtureRequest) -> tuple[Bijection, Tensor]:
    """A bijection away from its initial (often trivial) parameters, in float64 and eval mode, and a batch for it."""
    torch.manual_seed(0)
    constructor, shape = BIJECTIONS[request.param]
    bijection = constructor().double().eval()
    with torch.no_grad():
        for parameter in bijection.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for name, buffer in bijection.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 2.0)
    return bijection, torch.empty(3, *shape, dtype=torch.float64).uniform_(0.05, 0.95)


def test_log_det_is_that_of_the_autograd_jacobian(case: tuple[Bijection, Tensor]) -> None:
    bijection, x = case
    _, log_det = bijection(x)
    for sample, value in zip(x, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda v: bijection(v[None])[0][0], sample)
        matrix = jacobian.reshape(sample.numel(), sample.numel())
        torch.testing.assert_close(value, torch.linalg.slogdet(matrix).logabsdet, atol=1e-9, rtol=1e-9)


def test_round_trip_and_opposite_log_det(case: tuple[Bijection, Tensor]) -> None:
    bijection, x = case
    z, log_det = bijection(x)
    back, log_det_back = bijection.inverse(z)
    assert z.shape == x.shape
    torch.testing.assert_close(back, x, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(log_det_back, -log_det, atol=1e-9, rtol=1e-9)


def test_round_trip_without_gradients(case: tuple[Bijection, Tensor]) -> None:
    bijection, x = case
    with torch.no_grad():
        for _ in range(2):  # the second time with whatever the first has cached
            torch.testing.assert_close(bijection.inverse(bijection(x)[0])[0], x, atol=1e-9, rtol=1e-9)
            for parameter in bijection.parameters():
                parameter.mul_(0.9)


def test_samples_of_a_batch_do_not_see_each_other(case: tuple[Bijection, Tensor]) -> None:
    bijection, x = case
    z, log_det = bijection(x)
    alone = [bijection(sample[None]) for sample in x]
    torch.testing.assert_close(torch.cat([z for z, _ in alone]), z)
    torch.testing.assert_close(torch.cat([log_det for _, log_det in alone]), log_det)


def test_gradients_reach_every_parameter(case: tuple[Bijection, Tensor]) -> None:
    bijection, x = case
    z, log_det = bijection(x.requires_grad_())
    (z.square().sum() + log_det.sum()).backward()
    dead = {name for name, p in bijection.named_parameters() if p.grad is None or not p.grad.any()}
    if isinstance(bijection, LearnedTopPrior):
        assert dead == {"conv.conv.weight"}  # applied to zeros, see its docstring
    else:
        assert not dead


def test_inverse_is_differentiable(case: tuple[Bijection, Tensor]) -> None:
    bijection, x = case
    z = bijection(x)[0].detach().requires_grad_()
    back, log_det = bijection.inverse(z)
    (back.square().sum() + log_det.sum()).backward()
    dead = {name for name, p in bijection.named_parameters() if p.grad is None or not p.grad.any()}
    assert dead <= {"conv.conv.weight"}
    assert z.grad is not None
    assert z.grad.any()


def test_saving_and_loading_keeps_the_map(case: tuple[Bijection, Tensor], request: pytest.FixtureRequest) -> None:
    bijection, x = case
    constructor, _ = BIJECTIONS[request.node.callspec.params["case"]]
    twin = constructor().double().eval()
    twin.load_state_dict(bijection.state_dict())
    torch.testing.assert_close(twin(x)[0], bijection(x)[0])
    torch.testing.assert_close(twin.inverse(x)[0], bijection.inverse(x)[0], equal_nan=True)
