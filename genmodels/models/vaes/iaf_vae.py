"""IAF-VAE: Improved Variational Inference with Inverse Autoregressive Flow (Kingma et al., NIPS 2016, 1606.04934)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.bijections.base import sum_per_sample
from genmodels.distributions import PixelLikelihood
from genmodels.errors import UserError
from genmodels.models.data_checks import image_shape
from genmodels.models.model import Kind
from genmodels.models.terms import Gradient, Terms
from genmodels.models.vaes.iaf_vae_block import Block, BottomUp, Normal, TopDown
from genmodels.models.vaes.latent_variable_model import LatentVariableModel
from genmodels.networks.layout import fast_layout
from genmodels.networks.same_conv import DoublingConv2d, SameConv2d, halved
from genmodels.ranges import at_least

_INIT_SCALE = 0.1


class IAFVAE(LatentVariableModel):
    """A ResNet VAE with bidirectional inference and, in every layer, a step of inverse autoregressive flow.

        log w = log p(x | z) - sum_l [log q(z_l | z_>l, x) - log p(z_l | z_>l)],   z_l = IAF(N(mu, sigma); context)

    The image runs up through all layers; then latents are drawn from the top down, and each q adds what its layer has
    said on the way up to what it says on the way down (Section 5.2, Figure 3; Appendix C). The official TensorFlow code
    is followed: width 160, 32 channels of latents, one scale of 20 layers have its 41,557,927 parameters, among which
    a convolution of the top layer that nothing uses and that is not trained here.

    Deviations from it: the gain of weight normalisation is g, where the code has exp(log(g) / 3) after initialisation;
    transposed convolutions too are normalised for each output channel; the first batch runs with z ~ q, not z ~ p; the
    divergence of a diagonal q is taken in closed form.

    Args:
        shape: (C, H, W).
        likelihood: p(x | z); of the CIFAR-10 figures a discretised logistic with one scale and without tails.
        depth: scales, each half as large as the one before; the first is half the image's size.
        num_blocks: layers of latents at each scale.
        width: channels of the residual networks; a multiple of `num_latents`.
        num_latents: channels of z in each layer.
        iaf: whether q is normal with an IAF step, else it is normal with independent numbers.
        num_hidden: hidden layers of a step's network.
    Attributes:
        init_batch_size: images for data-dependent initialisation; those of one GPU in the official run.
    Raises:
        UserError: the data is not made of images, or a number is out of its range.
    """

    takes: ClassVar[frozenset[Kind]] = frozenset(("images",))
    init_batch_size = 32
    gradients = frozenset(("reparametrised",))
    levels: int

    def __init__(
        self,
        shape: Sequence[int],
        likelihood: PixelLikelihood,
        depth: int = 1,
        num_blocks: int = 20,
        width: int = 160,
        num_latents: int = 32,
        iaf: bool = True,
        num_hidden: int = 2,
    ) -> None:
        channels, height, columns = image_shape("iaf_vae", shape)
        at_least(1, depth=depth, num_blocks=num_blocks, width=width, num_latents=num_latents, num_hidden=num_hidden)
        if width % num_latents:
            raise UserError(f"model.width={width} has to be a multiple of model.num_latents={num_latents}")
        super().__init__()
        self.shape = tuple(shape)
        self.levels = likelihood.levels
        self.likelihood = likelihood
        self.num_latents = num_latents
        sizes = [halved((height, columns))]
        for _ in range(depth - 1):
            sizes.append(halved(sizes[-1]))
        self.sizes = [size for size in sizes for _ in range(num_blocks)]
        self.all_latents = num_latents * sum(height * width for height, width in self.sizes)
        self.latent_shape = (self.all_latents,)
        self.stem = SameConv2d(channels, width, 5, 2, _INIT_SCALE)
        self.blocks = nn.ModuleList(
            Block(width, num_latents, num_hidden if iaf else None, below if below != size else None)
            for size, below in zip(self.sizes, [self.sizes[0], *self.sizes], strict=False)
        )
        self._layers()[-1].up_second.requires_grad_(False)
        self.top = nn.Parameter(torch.zeros(width))
        self.head = DoublingConv2d(width, likelihood.num_params, 5, _INIT_SCALE)

    @property
    def protocol(self) -> Mapping[str, Any]:
        return self.likelihood.protocol

    def terms(
        self, x: Tensor, y: Tensor | None = None, samples: int = 1, gradient: Gradient = "reparametrised"
    ) -> Terms:
        """See `Terms`; layers from the top down, z [K, B, num_latents, h, w], ratios and KLs of channels.

        Raises:
            UserError: another gradient than through the draws, for which q would have to score given latents.
        """
        if gradient not in self.gradients:
            raise UserError(f"gradient={gradient} is none that IAFVAE has: leave it at reparametrised")
        log_ratios, kls, latents, log_qs = [], [], [], []
        h = self._start(samples * len(x))
        for block, below in self._downwards(self._bottom_up(x)):
            above = block.down(h)
            q, context = _joined(above, below, samples)
            noise = torch.randn_like(q.mean)
            z, log_scale = q.at(noise), q.log_scale
            if block.step is not None:
                z, smaller = block.step(z, context)
                log_scale = log_scale - smaller
            z = z.unflatten(0, (samples, -1))
            latents.append(z)
            z = z.flatten(0, 1)
            # Without the two constants, which are equal.
            log_q = -0.5 * noise.square() - log_scale
            log_ratio = log_q + 0.5 * above.p.noise(z).square() + above.p.log_scale
            log_ratios.append(log_ratio.sum(dim=(2, 3)).unflatten(0, (samples, -1)))
            kls.append(log_ratios[-1].mean(dim=0) if block.step is not None else _kl(q, above.p, samples))
            log_qs.append(sum_per_sample(log_q - 0.5 * math.log(2 * math.pi)))
            h = block.with_latents(h, above.features, z)
        repeated = x.repeat(samples, *[1] * len(self.shape))
        log_likelihood = sum_per_sample(self.likelihood.log_prob(self._params(h), repeated))
        log_posterior = torch.stack(log_qs).sum(dim=0)
        return Terms(log_likelihood.view(samples, -1), log_ratios, kls, log_posterior.view(samples, -1), latents)

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """`n` draws of x ~ p(x | z), z ~ p(z) at the given temperature of every layer; uint8 [n, C, H, W]."""
        z = torch.randn(n, self.all_latents, dtype=self._dtype, device=self.top.device)
        params = self._decoded(temperature * z)
        noise = torch.rand(n, *self.likelihood.noise_shape, dtype=params.dtype, device=params.device)
        return self.likelihood.sample(params, noise).to(torch.uint8)

    @torch.no_grad()
    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The means of q, passed through its flow, as the noise of p that gives them; all layers top down, [B, Z].

        Under the model that is N(0, I).
        """
        encoded = []
        h = self._start(len(x))
        for block, below in self._downwards(self._bottom_up(x)):
            above = block.down(h)
            q, context = _joined(above, below, 1)
            z = q.mean if block.step is None else block.step(q.mean, context)[0]
            encoded.append(above.p.noise(z).flatten(1))
            h = block.with_latents(h, above.features, z)
        return torch.cat(encoded, dim=1)

    @torch.no_grad()
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The image at the middle of p(x | z), uint8 [B, C, H, W], of what `encode` gives; no randomness."""
        params = self._decoded(z)
        noise = torch.full((len(z), *self.likelihood.noise_shape), 0.5, dtype=z.dtype, device=z.device)
        return self.likelihood.sample(params, noise, temperature=0.0).to(torch.uint8)

    @torch.no_grad()
    def decode_mean(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """E[x | z] of what `encode` gives: floats [B, C, H, W] from 0 to levels - 1."""
        return self.likelihood.mean(self._decoded(z))

    def _decoded(self, noise: Tensor) -> Tensor:
        """The likelihood's parameters for z of that noise, [B, Z] top down."""
        shapes = [(self.num_latents, *size) for size in reversed(self.sizes)]
        parts = noise.split([math.prod(shape) for shape in shapes], dim=1)
        h = self._start(len(noise))
        for block, part, shape in zip(self._layers()[::-1], parts, shapes, strict=True):
            above = block.down(h)
            h = block.with_latents(h, above.features, above.p.at(part.unflatten(1, shape)))
        return self._params(h)

    def _bottom_up(self, x: Tensor) -> list[BottomUp]:
        h = self.stem(fast_layout((x.to(self._dtype) + 0.5) / self.levels - 0.5))
        said = []
        for block in self._layers():
            h, below = block.up(h)
            said.append(below)
        return said

    def _start(self, rows: int) -> Tensor:
        top = self.top.view(1, -1, 1, 1).expand(rows, -1, *self.sizes[-1])
        return fast_layout(top)

    def _downwards(self, said: Sequence[BottomUp]) -> Iterator[tuple[Block, BottomUp]]:
        return zip(self._layers()[::-1], reversed(said), strict=True)

    def _layers(self) -> list[Block]:
        return cast(list[Block], list(self.blocks))

    def _params(self, h: Tensor) -> Tensor:
        return self.head(F.elu(h), self.shape[1:])


def _joined(above: TopDown, below: BottomUp, samples: int) -> tuple[Normal, Tensor]:
    """q and its context: what a layer says of K * B rows on the way down, and of B on the way up."""

    def total(many: Tensor, few: Tensor) -> Tensor:
        return (many.unflatten(0, (samples, -1)) + few).flatten(0, 1)

    q = Normal(total(above.q.mean, below.q.mean), total(above.q.log_scale, below.q.log_scale))
    return q, total(above.context, below.context)


def _kl(q: Normal, p: Normal, samples: int) -> Tensor:
    """Of normals, the mean over K of K * B rows, summed over pixels: [B, channels]."""
    log_ratio = q.log_scale - p.log_scale
    kl = 0.5 * (torch.expm1(2 * log_ratio) + p.noise(q.mean).square()) - log_ratio
    return kl.sum(dim=(2, 3)).unflatten(0, (samples, -1)).mean(dim=0)
