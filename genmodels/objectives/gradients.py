"""How the gradient of an expectation over q is estimated, for every objective that is one."""

from genmodels.errors import UserError
from genmodels.models.capabilities import required
from genmodels.models.contract import LatentVariables
from genmodels.models.model import Model
from genmodels.models.terms import Gradient

PATHS: dict[str, Gradient] = {
    "reparametrised": "reparametrised",
    "sticking": "sticking",
    "doubly_reparametrised": "sticking",
    "reinforce": "score",
    "reinforce_baseline": "score",
}
"""By the name of an estimator, how the parameters of q enter the terms that it starts from."""


def check_gradient(model: Model, gradient: str) -> None:
    """Raise UserError unless `model` gives the terms from which the estimator starts."""
    latent = required(model, LatentVariables, f"objective.gradient={gradient}")
    if PATHS[gradient] not in latent.gradients:
        possible = [name for name, path in PATHS.items() if path in latent.gradients]
        raise UserError(
            f"objective.gradient={gradient} is none that {type(model).__name__} has: choose {' or '.join(possible)}"
        )
