"""Fitting a density that is known up to a constant, without data from it."""

from torch import Tensor

from genmodels.distributions.energies import ENERGIES, log_normalizer
from genmodels.errors import UserError
from genmodels.models.capabilities import required
from genmodels.models.contract import SampledDensity
from genmodels.models.model import Model
from genmodels.objectives.objective import Loss, Selection

_FIRST_INVERSE_TEMPERATURE = 0.01


class ReverseKL(Loss):
    """KL(q || p) = E_q[log q(x) - log p(x)] for p = exp(-U) / Z, over samples of the model q, with gradient.

    The loss is the annealed free energy E_q[log q(x) + beta_t U(x)], beta_t = min(1, 0.01 + t / 10,000) in training
    step t (Rezende & Mohamed 2015, Equation 20), so that q finds all modes before they move apart. The metric
    `reverse_kl` is the true divergence in nats, at beta = 1 and with the exact Z; nought is perfect.

    Args:
        energy: u1, u2, u3 or u4, the name of the data.
        annealing_steps: 10,000 in the paper; 0 for beta = 1 throughout.
    Raises:
        UserError: no such energy, or a negative number of steps.
    """

    name = "reverse_kl"

    def __init__(self, energy: str, annealing_steps: int = 10_000) -> None:
        if energy not in ENERGIES:
            raise UserError(
                f"objective=reverse_kl fits one of the densities {', '.join(ENERGIES)}, and data.name={energy} is none "
                "of them: choose data=energy2d, or objective=nll."
            )
        if annealing_steps < 0:
            raise UserError(f"objective.annealing_steps={annealing_steps} must not be negative.")
        self.annealing_steps = annealing_steps
        self._energy = ENERGIES[energy]
        self._log_normalizer = log_normalizer(energy)
        self._inverse_temperature = 1.0
        self.target = self.log_density

    def check(self, model: Model) -> None:
        """Raise UserError unless `model` draws points of the plane together with their density."""
        required(model, SampledDensity, "objective=reverse_kl")
        if tuple(model.shape) != (2,):
            raise UserError(
                f"objective=reverse_kl needs a flow on the plane, and {type(model).__name__} draws no points of shape "
                "[2]; choose model=planar or model=radial."
            )

    def selection(self, model: Model) -> Selection:
        return Selection(self.name)

    def at_step(self, step: int) -> None:
        """Set the temperature for training step `step`, counted from 0."""
        done = step / self.annealing_steps if self.annealing_steps else 1.0
        self._inverse_temperature = min(1.0, _FIRST_INVERSE_TEMPERATURE + done)

    def log_density(self, x: Tensor) -> Tensor:
        """log p(x) of the target, nats. Shapes: [B, 2] -> [B]."""
        return -self._energy(x) - self._log_normalizer

    def __call__(self, model: Model, x: Tensor, y: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the annealed free energy of as many samples as there are rows in x, and their `reverse_kl`."""
        sampler = required(model, SampledDensity, "objective=reverse_kl")
        samples, log_prob = sampler.sample_with_log_prob(len(x))
        energy = self._energy(samples)
        loss = (log_prob + self._inverse_temperature * energy).mean()
        kl = (log_prob + energy).mean() + self._log_normalizer
        return loss, {self.name: kl.detach()}
