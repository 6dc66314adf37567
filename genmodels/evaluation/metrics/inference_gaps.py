"""Why an ELBO is below log p(x): Cremer, Li & Duvenaud 2018, Inference Suboptimality in VAEs (1801.03558)."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.inference.local import log_weights, optimised
from genmodels.evaluation.metrics.ais import EXAMPLES, annealed_log_weights, annealing_protocol
from genmodels.evaluation.metrics.figure import Figure, figure_of, mean_with_error
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.models.capabilities import required
from genmodels.models.contract import Batch, SingleLatent
from genmodels.progress_bar import shared_progress
from genmodels.randomness import seed_for, seeded

_STEPS, _STEP_SAMPLES = 500, 16  # of the search for q*, and draws for each
_SAMPLES = 1000  # draws that either ELBO is a mean of

Track = Callable[[Iterable[int]], Iterable[int]]


class InferenceGaps(Metric):
    """log p(x) - L[q] in nats, and its two parts, for 100 (or `max_examples`) examples.

        inference gap = approximation gap + amortisation gap = (log p(x) - L[q*]) + (L[q*] - L[q])    (Section 3.1)

    q is the model's own posterior, q* the best of its family for each example: its features are optimised from the
    encoder's on, while the decoder and what q shares over examples, as the weights of a flow, stay. Either ELBO is a
    mean over the same 1000 draws of noise. log p(x) is the better on average of two lower bounds: annealed importance
    sampling (see `AnnealedImportanceSampling`) and the importance-weighted bound of q* with these draws; so the
    approximation gap is, if anything, too small. The bound of q itself is shown only: where q is narrower than the true
    posterior, single weights of endless variance can lift it above the truth.
    """

    name = "inference_gaps"
    is_cheap = False
    needs = (SingleLatent,)

    def measure(self, trained: Trained) -> Figure:
        model = required(trained.model, SingleLatent, "metrics=[inference_gaps]")
        x, y = trained.first(trained.max_examples or EXAMPLES)
        parts = torch.arange(len(x)).split(max(1, trained.batch_size // trained.importance_samples))
        seed = seed_for("inference gaps", trained.seed)
        with (
            seeded(seed, trained.device),
            shared_progress(len(parts) * (trained.annealing_steps + _STEPS), "inference gaps") as track,
        ):
            batches = [(x[rows], None if y is None else y[rows]) for rows in parts]
            found = [_bounds(model, batch, trained, track) for batch in batches]
        ais, iwae_best, iwae, elbo_best, elbo = (torch.cat(values) for values in zip(*found, strict=True))
        log_p = max(ais, iwae_best, key=lambda values: float(values.mean()))
        terms = {
            "log p(x)": log_p,
            "AIS": ais,
            f"IWAE of q*, K={_SAMPLES}": iwae_best,
            f"IWAE of q, K={_SAMPLES}": iwae,
            "L[q*]": elbo_best,
            "L[q]": elbo,
            "approximation gap": log_p - elbo_best,
            "amortisation gap": elbo_best - elbo,
        }
        return figure_of(
            log_p - elbo,
            name=self.name,
            unit="nats",
            direction="lower",
            kind="estimate",
            protocol={
                **annealing_protocol(trained),
                "optimisation_steps": _STEPS,
                "optimisation_samples": _STEP_SAMPLES,
                "elbo_samples": _SAMPLES,
            },
            parts={part: mean_with_error(values) for part, values in terms.items()},
        )


def _bounds(model: SingleLatent, batch: Batch, trained: Trained, track: Track) -> tuple[Tensor, ...]:
    """AIS, IWAE by q* and by q, ELBO of q* and of q; [B] each."""
    x, y = batch
    chains = trained.importance_samples
    annealed = annealed_log_weights(model, x, y, chains, trained.annealing_steps, track)
    with torch.no_grad():
        features = model.posterior_features(x, y)
    best = optimised(model, x, features, y, _STEPS, _STEP_SAMPLES, track)
    noise = int(torch.randint(2**62, ()))
    weights = []
    for parameters in (best, features):
        with torch.no_grad(), seeded(noise, x.device):
            at_once = max(1, trained.batch_size // len(x))
            sizes = [min(at_once, _SAMPLES - start) for start in range(0, _SAMPLES, at_once)]
            drawn = [log_weights(model, x, parameters, y, size).double() for size in sizes]
        weights.append(torch.cat(drawn))
    if not all(values.isfinite().all() for values in weights):
        raise UserError("the log-weights are not all finite: the model's weights have diverged")
    iwae = (values.logsumexp(dim=0) - math.log(_SAMPLES) for values in weights)
    return annealed.logsumexp(dim=0) - math.log(chains), *iwae, *(values.mean(dim=0) for values in weights)
