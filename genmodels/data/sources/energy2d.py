"""Points from densities on the plane that are given by an energy."""

import numpy as np
import torch
from torch import Tensor

from genmodels.data.examples import Examples
from genmodels.data.source import Source
from genmodels.distributions.energies import BOX, ENERGIES

POINTS = {"train": 60_000, "test": 10_000}
_HIGHEST = 2.0  # no exp(-U) is larger: each is a sum of at most two terms that are at most 1
_PROPOSALS = 1_000_000


class Energy2D(Source):
    """60,000 + 10,000 independent points, float32 [2], of the density exp(-U) / Z with U = U1 .. U4, no labels.

    Reverse KL needs the energy alone and looks at no point: of the training part it takes how many samples to draw,
    of the others how many to be measured on. The test points show what reverse KL cannot see, modes that are missed.
    The points are a function of the name and `split_seed`, by rejection from the box outside which no mass is.
    """

    title = "energy on the plane"
    levels = None

    def read(self, part: str) -> Examples:
        rng = np.random.default_rng([self.options.split_seed, list(POINTS).index(part)])
        accepted: list[Tensor] = []
        while sum(map(len, accepted)) < POINTS[part]:
            z = torch.from_numpy(rng.uniform(-BOX, BOX, (_PROPOSALS, 2)))
            threshold = torch.from_numpy(rng.uniform(0, _HIGHEST, _PROPOSALS))
            accepted.append(z[torch.exp(-ENERGIES[self.options.name](z)) > threshold])
        return Examples(torch.cat(accepted)[: POINTS[part]].float())
