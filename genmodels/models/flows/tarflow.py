"""TARFlow: Normalizing Flows are Capable Generative Models (Zhai et al. 2024, arXiv:2412.06329)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from genmodels.bijections import Autoregressive, Bijection, Centre, Compose, Flip, InvertedBy, Patched, Standardize
from genmodels.distributions import Dequantization, GaussianNoise, UniformDequantization
from genmodels.errors import UserError
from genmodels.models.data_checks import conditional_classes, image_shape
from genmodels.models.flows.flow import Flow
from genmodels.networks import CausalTransformer
from genmodels.networks.guidance import Guided
from genmodels.ranges import at_least, between, fractions


class TARFlow(Flow):
    """MAF over patches, with causal transformers as its networks: every second one goes through them backwards.

        z_t = (x_t - b_t) exp(-a_t),  (a_t, b_t) from the patches before t,  z_1 = x_1    (Section 2.2, official code)

    on pixels from -1 to 1. With patch 2, width 768, 8 blocks of 8 layers on 3x64x64 it has 460,142,784 parameters, as
    many as the official code, and 466,286,784 with the 1000 classes of ImageNet.

    Trained for likelihood it gets uniform noise like any flow. Trained for looks it gets `noise`, 0.05, and each
    sample takes one step of denoising, v + s^2 grad log p(v) (Tweedie; Section 2.5). `log_prob` is then a log-weight
    of the pixels that are read off noisy ones, see `GaussianNoise`, and says nothing of the denoised samples.

    Deviations from the official code: b comes before a in a network's output, and backward blocks number their position
    embeddings in their own direction (the same set of functions both). No guidance of unconditional models, which
    there is by the temperature of attention. Denoising takes log p(v | y), without guidance.

    Args:
        shape: (C, H, W).
        levels: number of pixel values, x in 0 .. levels - 1.
        patch: side of a patch; divides H and W.
        width: of the embedded patches.
        num_blocks: transformers.
        num_layers: of each.
        head_width: channels of a head of attention; divides `width`.
        expansion: hidden units of the MLPs, in widths.
        noise: deviation of normal noise on pixels from -1 to 1; None for dequantisation.
        conditional: add an embedding of the class to every patch.
        label_dropout: fraction of the labels that training takes for unknown, which is the mean of all classes.
        num_classes: of the data.
        dequantization: of the pixels; uniform unless given.
    Raises:
        UserError: a number out of its range, or a patch or head width that does not divide; noise and dequantisation;
            no classes to condition on.
    """

    takes = frozenset(("images",))

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        patch: int = 2,
        width: int = 768,
        num_blocks: int = 8,
        num_layers: int = 8,
        head_width: int = 64,
        expansion: int = 4,
        noise: float | None = None,
        conditional: bool = False,
        label_dropout: float = 0.1,
        num_classes: int | None = None,
        dequantization: Dequantization | None = None,
    ) -> None:
        at_least(
            1,
            patch=patch,
            width=width,
            num_blocks=num_blocks,
            num_layers=num_layers,
            head_width=head_width,
            expansion=expansion,
        )
        fractions(label_dropout=label_dropout)
        if width % head_width:
            raise UserError(f"model.width={width} must be a multiple of model.head_width={head_width}.")
        channels, height, image_width = image_shape("tarflow", shape)
        num_patches = _num_patches(height, image_width, patch)
        features = channels * patch**2
        classes = conditional_classes(conditional, num_classes)

        def layer() -> Autoregressive:
            net = CausalTransformer(
                num_patches, features, 2, width, num_layers, width // head_width, expansion, classes
            )
            return Autoregressive(net, Standardize())

        bijection = _of_pixels([layer() for _ in range(num_blocks)], patch)
        super().__init__(bijection, shape, levels, classes, dequantization=_noise(levels, noise, dequantization))
        self.patch = patch
        self.label_dropout = label_dropout

    @property
    def protocol(self) -> Mapping[str, Any]:
        if isinstance(self.dequantization, GaussianNoise):
            return {"likelihood": "of pixels read off noisy ones, not of the denoised samples"}
        return {}

    @torch.no_grad()
    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        temperature: float = 1.0,
        *,
        method: Literal["cached", "naive", "jacobi"] = "cached",
        guidance: float | None = None,
    ) -> Tensor:
        """`n` draws; see `Flow.sample`.

        Args:
            method: "cached", patch by patch with the keys and values of those before, "naive", a pass over all for
                every patch, or "jacobi", passes until nothing changes (Song et al. 2021).
            guidance: w of `Guided`; None or 0 for the model itself.
        Raises:
            UserError: guidance of a model without classes, or that was never without them.
        """
        z = self.base.sample(n, temperature)
        if self.num_classes and y is None:
            y = torch.randint(self.num_classes, (n,), device=z.device)
        layers = [InvertedBy(layer, method) for layer in self._layers(guidance)]
        v, _ = _of_pixels(layers, self.patch).inverse(z, self._one_hot(y))
        if isinstance(self.dequantization, GaussianNoise):
            v = v + self.dequantization.deviation**2 * self._score(v, y)
        return self._as_data(v)

    def _layers(self, guidance: float | None) -> list[Autoregressive]:
        layers = [module for module in self.bijection.modules() if isinstance(module, Autoregressive)]
        if not guidance:
            return layers
        if not self.num_classes:
            raise UserError(f"guidance={guidance:g} goes towards a class: train with model.conditional=true.")
        if not self.label_dropout:
            raise UserError(
                f"guidance={guidance:g} goes away from what the model draws without a class, which it has not learned: "
                "train with model.label_dropout=0.1."
            )
        if not 0 < guidance < math.inf:
            raise UserError(f"guidance={guidance:g} must be a number of 0 or more.")
        return [Autoregressive(Guided(layer.net, guidance), layer.elementwise) for layer in layers]

    def _score(self, v: Tensor, y: Tensor | None) -> Tensor:
        """The gradient of log p(v | y), of the shape of v."""
        with torch.enable_grad():
            v = v.detach().requires_grad_()
            z, log_det = self.bijection(v, self._one_hot(y))
            (score,) = torch.autograd.grad((log_det + self.base.log_prob(z)).sum(), v)
        return score

    def _context(self, y: Tensor | None) -> Tensor | None:
        context = super()._context(y)
        if context is None or not (self.training and self.label_dropout):
            return context
        unknown = torch.rand(len(context), 1, device=context.device) < self.label_dropout
        return torch.where(unknown, torch.full_like(context, 1 / self.num_classes), context)


def _of_pixels(layers: Iterable[Bijection], patch: int) -> Bijection:
    """The flow of pixels in [0, 1]: every second layer goes from the last patch to the first."""
    steps: list[Bijection] = []
    for index, layer in enumerate(layers):
        steps += [Compose([Flip(), layer, Flip()])] if index % 2 else [layer]
    return Compose([Centre(), Patched(Compose(steps), patch)])


def _num_patches(height: int, width: int, patch: int) -> int:
    fitting = [
        side
        for side in range(1, max(height, width))
        if not (height % side or width % side) and height * width > side**2
    ]
    if patch not in fitting:
        raise UserError(
            f"model.patch={patch} of tarflow does not cut images of {height}x{width} into two patches or more; these "
            f"do: {fitting}."
        )
    return height * width // patch**2


def _noise(levels: int, deviation: float | None, dequantization: Dequantization | None) -> Dequantization | None:
    if deviation is None:
        return dequantization
    between(0.0, 1.0, noise=deviation)
    if dequantization is not None and not isinstance(dequantization, UniformDequantization):
        raise UserError(f"model.noise={deviation} takes the place of dequantisation: set model/dequantization=uniform.")
    return GaussianNoise(levels, 0.5 * deviation)
