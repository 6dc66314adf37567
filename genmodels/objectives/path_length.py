"""Path length regularisation of StyleGAN2 (Karras et al., CVPR 2020, Section 3.2)."""

import math
from typing import cast

import torch
from torch import Tensor

from genmodels.models.capabilities import required
from genmodels.models.contract import AdversarialPair, StyleBased
from genmodels.objectives.penalty import GeneratorPenalty
from genmodels.ranges import at_least


class PathLength(GeneratorPenalty):
    """weight * E[(|J^T v| - a)^2], J = dG(w) / dw, v ~ N(0, I / (H W)), a a moving mean of |J^T v|.

    As in the official code the squared length is a mean over layers, each with a w of its own, and a is the mean with
    this batch in it, so that a share `decay` of its gradient is there too.

    Args:
        weight: gamma_pl.
        decay: a <- a + decay * (mean of the batch - a).
        every: so many updates of the generator.
        batch_shrink: the images are the first B / batch_shrink of the step.

    Attributes:
        mean: a, a scalar; 0 at the start.

    Raises:
        UserError: a number is out of its range.
    """

    mean: Tensor

    def __init__(self, weight: float = 2.0, decay: float = 0.01, every: int = 4, batch_shrink: int = 2) -> None:
        super().__init__()
        at_least(0, under="objective.generator_penalty.", weight=weight, decay=decay)
        at_least(1, under="objective.generator_penalty.", every=every, batch_shrink=batch_shrink)
        self.weight, self.decay, self.every, self.batch_shrink = weight, decay, every, batch_shrink
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, pair: AdversarialPair, z: Tensor, y: Tensor | None) -> Tensor:
        model = cast(StyleBased, pair)
        count = max(1, len(z) // self.batch_shrink)
        w = model.styles(z[:count], None if y is None else y[:count])
        images = model.synthesize(w)
        noise = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
        (slopes,) = torch.autograd.grad((images * noise).sum(), w, create_graph=True)
        lengths = slopes.square().sum(dim=2).mean(dim=1).sqrt()
        mean = self.mean.lerp(lengths.mean(), self.decay)
        self.mean.copy_(mean.detach())
        return self.weight * (lengths - mean).square().mean()

    def check(self, pair: AdversarialPair) -> None:
        required(pair, StyleBased, "objective/generator_penalty=path_length")  # type: ignore[arg-type]
