"""Every posterior and every prior of a VAE, small, by the name of its config; listed here, a new one is tested."""

from collections.abc import Callable, Sequence

import torch
from linear_gaussian import LinearNetworks
from torch import Tensor, nn

from genmodels.bijections import Autoregressive, Compose, GaussianConditional, Inverse, Reverse, Triangular
from genmodels.distributions import (
    Base,
    FlowPrior,
    Gaussian,
    MixtureOfGaussians,
    StandardNormal,
    autoregressive_mixture,
)
from genmodels.models import (
    VAE,
    Diagonal,
    FlowPosterior,
    FullCovariance,
    IAFPosterior,
    PlanarPosterior,
    Posterior,
    RadialPosterior,
    VampPrior,
)
from genmodels.networks import MADENet

DATA = 5


def _with_context(z: int) -> FlowPosterior:
    layer = Autoregressive(MADENet(z, 2, [8], context_features=3), GaussianConditional())
    return FlowPosterior(z, Inverse(Compose([layer, Reverse(z)])), context_features=3)


def _without_context(z: int) -> FlowPosterior:
    layer = Autoregressive(MADENet(z, 2, [8], activation="tanh"), GaussianConditional())
    return FlowPosterior(z, Compose([Triangular(z), layer]))


POSTERIORS: dict[str, Callable[[int], Posterior]] = {
    "diagonal": Diagonal,
    "diagonal_bounded": lambda z: Diagonal(z, [-0.2, 0.2]),
    "full_covariance": FullCovariance,
    "planar": lambda z: PlanarPosterior(z, num_maps=3),
    "radial": lambda z: RadialPosterior(z, num_maps=3),
    "iaf": lambda z: IAFPosterior(z, num_steps=3, width=8, context_features=4),
    "flow": _with_context,
    "flow without context": _without_context,
}
PRIORS: dict[str, Callable[[int], Base]] = {
    "normal": lambda z: StandardNormal([z]),
    "mog": lambda z: MixtureOfGaussians([z], num_components=4),
    "vamp": lambda z: VampPrior([z], [DATA], None, num_components=4),
    "flow": lambda z: FlowPrior([z], Autoregressive(MADENet(z, 2, [8], activation="tanh"), GaussianConditional())),
    "autoregressive": lambda z: autoregressive_mixture([z], num_components=3, width=8),
}
FLOWS = [name for name in POSTERIORS if name not in ("diagonal", "diagonal_bounded", "full_covariance")]


def vae(posterior: str = "diagonal", prior: str = "normal", latents: int = 3, networks: object = None) -> VAE:
    """On vectors of 5 numbers, linear in and out unless given, in float64, all its parameters away from their start."""
    parts = (POSTERIORS[posterior](latents), PRIORS[prior](latents))
    model = VAE([DATA], None, networks or LinearNetworks(), *parts, Gaussian([DATA], None, 0.7))  # type: ignore[arg-type]
    return stirred(model.double())


def stirred(module: nn.Module) -> nn.Module:
    """The same, its parameters moved a little."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module


def grid(dimensions: int, reach: float = 12.0, points: int = 601) -> tuple[Tensor, float]:
    """Points of a grid of so many dimensions around nought, [N, dimensions], and the volume of a cell."""
    axis = torch.linspace(-reach, reach, points, dtype=torch.double)
    axes: Sequence[Tensor] = [axis] * dimensions
    return torch.cartesian_prod(*axes).view(-1, dimensions), float(axis[1] - axis[0]) ** dimensions
