"""The continuous bijection: data flow to noise along a learned vector field."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from genmodels.bijections.base import Bijection, sum_per_sample
from genmodels.bijections.ode_solver import Solver, State

TraceName = Literal["exact", "rademacher", "gaussian"]
Integrand = Literal["map", "log_det", "costs"]


@dataclass(frozen=True)
class Integration:
    """How a continuous bijection is solved.

    Attributes:
        solver: of the differential equation.
        trace: of the field's Jacobian J: exact, in D passes backwards, or Hutchinson's estimate v'Jv in one, for v of
            random signs or standard normal.
        probes: how many v are averaged.
    """

    solver: Solver = field(default_factory=Solver)
    trace: TraceName = "rademacher"
    probes: int = 1

    def draw(self, x: Tensor) -> Tensor:
        """The vectors v of one solution, [V, B, *shape]: fixed while it lasts, or it would solve no equation."""
        if self.trace == "exact":
            features = x[0].numel()
            axes = torch.eye(features, dtype=x.dtype, device=x.device)
            return axes.view(features, 1, *x.shape[1:]).expand(-1, *x.shape)
        if self.trace == "gaussian":
            return torch.randn(self.probes, *x.shape, dtype=x.dtype, device=x.device)
        signs = torch.randint(2, (self.probes, *x.shape), device=x.device)
        return (2 * signs - 1).to(x.dtype)

    def __str__(self) -> str:
        return self.trace if self.trace == "exact" else f"{self.trace} of {self.probes}"


class Costs(NamedTuple):
    """What the way of each example costs, [B] both: RNODE's regularisers (Finlay et al. 2020, Equation 9).

    Attributes:
        kinetic: integral of |f|^2 / (2 D), the kinetic energy.
        jacobian: integral of |v'J|^2 / D, in expectation the squared Frobenius norm of J over D.
    """

    kinetic: Tensor
    jacobian: Tensor


class Continuous(Bijection):
    """z = x(1) of dx/ds = T f(s T, x), x(0) = x:  log|det dz/dx| = integral of T tr df/dx over s from 0 to 1.

    Chen et al. 2018, Theorem 1, with the trace estimated by Hutchinson's v'Jv (Grathwohl et al. 2019, FFJORD, Equation
    7) or taken exactly. The time is written so that a learned end, T = (sqrt T)^2 as in FFJORD's code, is a factor of
    the field. An adaptive solver judges its steps by the batch: with which others an example is solved makes a
    difference of the size of the tolerance. The inverse runs the same equation backwards, to the same tolerance.

    Args:
        network: f(t, z), [] and [B, *shape] to [B, *shape]; smooth. No context.
        training: how it is solved in training mode.
        evaluation: how in evaluation mode; as in training unless given.
        end_time: T at the start.
        learn_end_time: whether it is learned.
    Shapes: x, z [B, *shape]; log_det [B], nats.

    Attributes:
        evaluations: of the network, in the latest solution with log_det. Those of its gradient are not counted.
        costs: of the latest solution, where the integrand was "costs".
    """

    def __init__(
        self,
        network: nn.Module,
        training: Integration = Integration(),
        evaluation: Integration | None = None,
        end_time: float = 1.0,
        learn_end_time: bool = True,
    ) -> None:
        super().__init__()
        self.network = network
        self.in_training, self.in_evaluation = training, evaluation or training
        self.sqrt_end_time = nn.Parameter(torch.tensor(end_time).sqrt(), requires_grad=learn_end_time)
        self.integrand: Integrand = "log_det"
        self.evaluations = 0
        self.costs: Costs | None = None

    @property
    def integration(self) -> Integration:
        """The one of the current mode."""
        return self.in_training if self.training else self.in_evaluation

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._solution(x, 0.0, 1.0)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._solution(z, 1.0, 0.0)

    def velocity(self, time: Tensor, z: Tensor) -> Tensor:
        """dx/ds at time s in [0, 1], of all examples [] or of each [B]. Shapes: z [B, *shape] -> the same."""
        end_time = self.sqrt_end_time.square()
        return end_time * self.network(end_time * time, z)

    def _solution(self, x: Tensor, start: float, end: float) -> tuple[Tensor, Tensor]:
        dynamics = _Dynamics(self, x)
        extra = {"map": 0, "log_det": 1, "costs": 3}[self.integrand]
        state = (x, *[x.new_zeros(len(x)) for _ in range(extra)])
        parameters = list(self.parameters())
        solution, *sums = self.integration.solver.solve(dynamics, state, start, end, parameters, min(2, len(state)))
        if self.integrand != "map":
            self.evaluations = dynamics.evaluations
        self.costs = Costs(*sums[1:]) if self.integrand == "costs" else None
        return solution, sums[0] if sums else x.new_full((len(x),), torch.nan)


class _Dynamics:
    """The derivative of a point and of what is integrated along its way; counts how often it was asked for."""

    def __init__(self, flow: Continuous, x: Tensor) -> None:
        self.flow = flow
        self.evaluations = 0
        self._vectors = None if flow.integrand == "map" else flow.integration.draw(x)
        self._is_exact = flow.integration.trace == "exact"

    def __call__(self, time: Tensor, state: State) -> State:
        self.evaluations += 1
        z = state[0]
        if self._vectors is None:
            return (self.flow.velocity(time, z),)
        wants_gradient = torch.is_grad_enabled()
        with torch.enable_grad():
            z = z if wants_gradient and z.requires_grad else z.detach().requires_grad_()
            velocity = self.flow.velocity(time, z)
            products = [_product(velocity, z, v, wants_gradient) for v in self._vectors]
        if not wants_gradient:
            velocity = velocity.detach()
        count = 1 if self._is_exact else len(products)
        traces = [sum_per_sample(v * product) for v, product in zip(self._vectors, products, strict=True)]
        trace = _sum(traces) / count
        if self.flow.integrand == "log_det":
            return velocity, trace
        features = z[0].numel()
        kinetic = sum_per_sample(velocity.square()) / (2 * features)
        return velocity, trace, kinetic, _sum([sum_per_sample(p.square()) for p in products]) / (count * features)


def _product(velocity: Tensor, z: Tensor, v: Tensor, wants_gradient: bool) -> Tensor:
    """v'J of each example, [B, *shape]."""
    (product,) = torch.autograd.grad(velocity, z, v, create_graph=wants_gradient, retain_graph=True)
    return product


def _sum(terms: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum(dim=0) if len(terms) > 1 else terms[0]


@contextmanager
def integrating(integrand: Integrand, flows: Sequence[Continuous]) -> Iterator[None]:
    """Within, `flows` integrate the map alone (their log_det is then nan), or log_det with it, or costs as well."""
    before = [flow.integrand for flow in flows]
    try:
        for flow in flows:
            flow.integrand = integrand
        yield
    finally:
        for flow, integrand in zip(flows, before, strict=True):
            flow.integrand = integrand
