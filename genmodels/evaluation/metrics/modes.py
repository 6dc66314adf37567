"""How many modes of a known mixture a model draws, and how well."""

import torch
from torch import Tensor

from genmodels.distributions.modes import Modes
from genmodels.errors import UserError
from genmodels.evaluation.metrics.figure import Figure, mean_with_error
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.models.capabilities import required
from genmodels.models.contract import Sampler
from genmodels.randomness import seed_for, seeded

_SAMPLES = 2_500
_DEVIATIONS = 3.0


class ModeCoverage(Metric):
    """How many modes of a mixture of Gaussians, such as data.name=ring, 2,500 (or `max_examples`) samples cover.

    A sample is good when its Euclidean distance to the nearest centre is at most 3 deviations, as are 98.9 % of the
    data in the plane; a mode is covered when one good sample or more is nearest to it. `parts`: how many modes there
    are; the share of good samples; KL(q || p) in nats, where q are the shares of all samples, good or not, by nearest
    mode, and p = 1 / K. That is log K for a single mode and, by chance, (K - 1) / 2N on average for the data. After
    Srivastava et al. 2017 (VEEGAN) and Lin et al. 2018 (PacGAN), whose definitions are recalled.
    """

    name = "modes"
    is_cheap = False
    needs = (Sampler,)

    def check(self, trained: Trained) -> None:
        if trained.modes is None:
            raise UserError("metrics=[modes] needs data whose modes are known: data=toy2d with data.name=ring or grid")

    @torch.no_grad()
    def measure(self, trained: Trained) -> Figure:
        self.check(trained)
        modes = trained.modes
        assert modes is not None
        sampler = required(trained.model, Sampler, "metrics=[modes]")
        with seeded(seed_for("modes", trained.seed), trained.device):
            samples = sampler.sample(trained.max_examples or _SAMPLES).double()
        if not samples.isfinite().all():
            raise UserError("the samples of the model are not all finite: the weights have diverged")
        nearest, good = assigned(samples.cpu(), modes)
        count = len(modes.centres)
        shares = nearest.bincount(minlength=count) / len(nearest)
        return Figure(
            name=self.name,
            mean=float(len(nearest[good].unique())),
            standard_error=None,
            unit="",
            direction="higher",
            num_examples=len(samples),
            kind="estimate",
            protocol={"deviations": _DEVIATIONS},
            parts={
                "there are": (float(count), None),
                "share of good samples": mean_with_error(good.double()),
                "KL of the modes' shares": (float(torch.special.xlogy(shares, shares * count).sum()), None),
            },
            counted="samples",
        )


def assigned(samples: Tensor, modes: Modes) -> tuple[Tensor, Tensor]:
    """The nearest mode of each sample, int64 [N], and whether it is good, bool [N]. Shapes: samples [N, D]."""
    distance, nearest = torch.cdist(samples.double(), modes.centres.double()).min(dim=1)
    return nearest, distance <= _DEVIATIONS * modes.deviation
