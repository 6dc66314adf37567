"""What keeps the rows of a generator's weights apart, so that it bears truncated latents."""

import torch
from torch import Tensor, nn

from genmodels.models.contract import AdversarialPair
from genmodels.objectives.penalty import GeneratorPenalty
from genmodels.ranges import at_least


class Orthogonal(GeneratorPenalty):
    """weight * sum over W of |W W' - diag(W W')|^2: off-diagonal inner products (Brock et al. 2019, Equation 3).

    W are the generator's matrices and kernels [out, in * kernel], without embeddings, as they are beneath a spectral
    norm. The official code adds half of this gradient: its strength of 1e-4, the paper's, is 5e-5 here. It leaves out
    the shared embedding alone, and so takes the gains and biases that each class has where nothing is shared.

    Args:
        weight: beta.
    """

    def __init__(self, weight: float = 1e-4) -> None:
        super().__init__()
        at_least(0, under="objective.generator_penalty.", weight=weight)
        self.weight = weight

    def forward(self, pair: AdversarialPair, z: Tensor, y: Tensor | None) -> Tensor:
        parts = [part for part in pair.generator.modules() if not isinstance(part, nn.Embedding)]
        weights = [w for part in parts for w in part.parameters(recurse=False) if w.dim() > 1]
        return self.weight * torch.stack([_off_diagonal(w.float().flatten(1)) for w in weights]).sum()


def _off_diagonal(matrix: Tensor) -> Tensor:
    """Sum of the squared inner products of different rows."""
    # Of the two products the smaller one: |W W'| = |W' W|.
    inner = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
    return inner.square().sum() - matrix.square().sum(dim=1).square().sum()
