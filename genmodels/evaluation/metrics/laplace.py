"""log p(x) by Laplace's approximation (MacKay 2003, Chapter 27)."""

import copy

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.inference.laplace import log_integral
from genmodels.evaluation.metrics.ais import EXAMPLES
from genmodels.evaluation.metrics.figure import Figure, figure_of
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.models.capabilities import required
from genmodels.models.contract import Batch, SingleLatent
from genmodels.progress_bar import progress


class Laplace(Metric):
    """The log-likelihood in nats, were p(x, z) a bell around its maximum over z; of 100 (or `max_examples`) examples.

        log p(x) ~ log p(x, z*) + Z/2 log 2 pi - 1/2 log det(-H),    H the Hessian of log p(x, z) at z*

    Newton's method starts from the centre of q(z | x), so of several maxima it takes one close to that. All is done in
    float64. It is neither above nor below the truth; it is exact for a linear decoder with normal noise.
    """

    name = "laplace"
    is_cheap = False
    needs = (SingleLatent,)

    def measure(self, trained: Trained) -> Figure:
        double = copy.deepcopy(trained.model).double()
        model = required(double, SingleLatent, "metrics=[laplace]")
        x, y = trained.first(trained.max_examples or EXAMPLES)
        parts = torch.arange(len(x)).split(trained.batch_size)
        found = [_log_p(model, (x[rows], None if y is None else y[rows])) for rows in progress(parts, "climbing")]
        log_p = torch.cat(found)
        if not log_p.isfinite().all():
            raise UserError("the Laplace approximation is not finite everywhere: the model's weights have diverged")
        return figure_of(
            log_p,
            name=self.name,
            unit="nats",
            direction="higher",
            kind="estimate",
        )


def _log_p(model: SingleLatent, batch: Batch) -> Tensor:
    x, y = batch
    with torch.no_grad():
        start = model.posterior.centre(model.posterior_features(x, y))
    return log_integral(lambda z: model.log_joint(x, z, y), start)
