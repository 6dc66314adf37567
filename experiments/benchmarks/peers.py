"""The same Glow put together from the parts of nflows, normflows and FrEIA.

Each peer is built the way its authors document, in the form that is fastest: nflows keeps the matrices of its 1x1
convolutions in evaluation mode, FrEIA leaves out log-determinants when it samples. Dequantisation and quantisation
are genmodels' own, so that all of them turn the same pixels into log-likelihoods and latents into the same pixels.

What still differs: FrEIA's 1x1 convolution is a fixed matrix, its coupling scales by the exp of an arctangent and not
by a sigmoid; no peer has actnorm inside the coupling networks or learned split priors, which genmodels' Glow has.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from genmodels.distributions import StandardNormal, UniformDequantization

LEVELS = 256


class PeerGlow(nn.Module, ABC):
    """`num_scales` scales of `num_steps` steps; images uint8 [B, *shape], `log_prob` in nats, as genmodels' flows."""

    def __init__(self) -> None:
        super().__init__()
        self.dequantization = UniformDequantization(LEVELS)

    def log_prob(self, x: Tensor) -> Tensor:
        v, log_weight = self.dequantization(x, torch.float32)
        return self._log_density(v - 0.5) + log_weight

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        return self.dequantization.quantize(self._draw(n) + 0.5)

    @abstractmethod
    def _log_density(self, v: Tensor) -> Tensor:
        """Shapes: v float [B, *shape] -> [B]."""

    @abstractmethod
    def _draw(self, n: int) -> Tensor:
        """Returns: float [n, *shape]."""


class CouplingNet(nn.Sequential):
    """3x3 -> ReLU -> 1x1 -> ReLU -> 3x3 started at zero. nflows hands over a second argument, unused."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        last = nn.Conv2d(width, outputs, 3, padding=1)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        first, second = nn.Conv2d(inputs, width, 3, padding=1), nn.Conv2d(width, width, 1)
        super().__init__(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True), last)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(x)


def squeezed_shapes(shape: tuple[int, int, int], num_scales: int) -> list[tuple[int, int, int]]:
    """The shape inside each scale, after its squeeze."""
    channels, height, width = shape
    return [(channels * 2 ** (s + 1), height >> s, width >> s) for s in range(1, num_scales + 1)]


class NflowsGlow(PeerGlow):
    """Actnorm, 1x1 convolution in LU form, affine coupling."""

    def __init__(self, shape: tuple[int, int, int], num_scales: int, num_steps: int, width: int) -> None:
        super().__init__()
        from nflows import transforms as t
        from nflows.distributions import StandardNormal as Base
        from nflows.flows import Flow

        def step(channels: int) -> nn.Module:
            second_half = torch.arange(channels) >= channels // 2
            coupling = t.AffineCouplingTransform(second_half, lambda i, o: CouplingNet(i, o, width))
            mixing = t.OneByOneConvolution(channels, using_cache=True)
            return t.CompositeTransform([t.ActNorm(channels), mixing, coupling])

        scales = t.MultiscaleCompositeTransform(num_scales)
        for inner in squeezed_shapes(shape, num_scales):
            steps = [step(inner[0]) for _ in range(num_steps)]
            scales.add_transform(t.CompositeTransform([t.SqueezeTransform(), *steps]), inner)
        self.flow = Flow(scales, Base([math.prod(shape)]))

    def _log_density(self, v: Tensor) -> Tensor:
        return self.flow.log_prob(v)

    def _draw(self, n: int) -> Tensor:
        return self.flow.sample(n)


class NormflowsGlow(PeerGlow):
    """`GlowBlock` with 1x1 convolution in LU form. Its flows run from noise to data, the deepest scale first."""

    def __init__(self, shape: tuple[int, int, int], num_scales: int, num_steps: int, width: int) -> None:
        super().__init__()
        import normflows as nf

        bases: list[nn.Module] = []
        scales: list[list[nn.Module]] = []
        for channels, *size in reversed(squeezed_shapes(shape, num_scales)):
            is_deepest = not scales
            bases.append(nf.distributions.GlowBase((channels if is_deepest else channels // 2, *size)))
            steps = [nf.flows.GlowBlock(channels, width, use_lu=True) for _ in range(num_steps)]
            scales.append([*steps, nf.flows.Squeeze()])
        merges = [nf.flows.Merge() for _ in range(num_scales - 1)]
        self.flow = nf.MultiscaleFlow(bases, scales, merges, class_cond=False)

    def _log_density(self, v: Tensor) -> Tensor:
        return self.flow.log_prob(v, None)

    def _draw(self, n: int) -> Tensor:
        return self.flow.sample(n)[0]


class FreiaGlow(PeerGlow):
    """Actnorm, fixed 1x1 convolution, affine coupling of the second half."""

    def __init__(self, shape: tuple[int, int, int], num_scales: int, num_steps: int, width: int) -> None:
        super().__init__()
        from FrEIA import framework as f
        from FrEIA import modules as m

        nodes, latents = [f.InputNode(*shape)], []

        def append(module: type, **arguments: object) -> None:
            nodes.append(f.Node(nodes[-1].out0, module, arguments))

        for scale, (channels, *_) in enumerate(squeezed_shapes(shape, num_scales), start=1):
            append(m.IRevNetDownsampling)
            for _ in range(num_steps):
                append(m.ActNorm)
                append(m.Fixed1x1Conv, M=torch.linalg.qr(torch.randn(channels, channels)).Q)
                append(m.AffineCouplingOneSided, subnet_constructor=lambda i, o: CouplingNet(i, o, width))
            if scale < num_scales:
                append(m.Split)
                latents.append(f.OutputNode(nodes[-1].out1))
        self.flow = f.GraphINN([*nodes, *latents, f.OutputNode(nodes[-1].out0)])
        self.bases = [StandardNormal(latent) for latent in self.flow.global_out_shapes]

    def _log_density(self, v: Tensor) -> Tensor:
        latents, log_det = self.flow(v)
        return log_det + sum(base.log_prob(z) for base, z in zip(self.bases, latents, strict=True))

    def _draw(self, n: int) -> Tensor:
        latents = [torch.randn(n, *shape) for shape in self.flow.global_out_shapes]
        return self.flow(latents, rev=True, jac=False)[0]


PEERS: dict[str, Callable[..., PeerGlow]] = {
    "nflows": NflowsGlow,
    "normflows": NormflowsGlow,
    "FrEIA": FreiaGlow,
}
