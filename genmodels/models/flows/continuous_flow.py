"""What continuous flows share: how they are solved, and what they say of it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genmodels.bijections import Continuous, Costs, Integration, Solver, integrating
from genmodels.bijections.continuous import TraceName
from genmodels.models.flows.flow import Flow
from genmodels.ranges import at_least

EXACT_UP_TO = 64
"""Dimensions of vectors up to which evaluation takes the exact trace."""


def integrations(
    shape: tuple[int, ...],
    solver: Solver,
    trace: TraceName,
    evaluation_solver: Solver | None,
    evaluation_trace: TraceName | None,
    evaluation_probes: int,
) -> tuple[Integration, Integration]:
    """In training mode and in evaluation mode, from the settings of a model of data of `shape`.

    Args:
        evaluation_solver: None for the same.
        evaluation_trace: None for the exact one of vectors of up to 64 dimensions, and the same for all else.
        evaluation_probes: of an estimated trace in evaluation.
    Raises:
        UserError: a number is out of its range, or numbers and method do not fit together.
    """
    at_least(1, evaluation_probes=evaluation_probes)
    solver.check("model.solver")
    if evaluation_solver is not None:
        evaluation_solver.check("model.evaluation_solver")
    small = len(shape) == 1 and shape[0] <= EXACT_UP_TO
    of_evaluation = evaluation_trace or ("exact" if small else trace)
    return (
        Integration(solver, trace),
        Integration(evaluation_solver or solver, of_evaluation, evaluation_probes),
    )


class ContinuousFlow(Flow):
    """A flow with continuous bijections in it. All but densities leaves the trace out.

    Its log-likelihood is exact but for the solver's tolerance where the trace is exact, and an estimate elsewhere.
    """

    @property
    def exact(self) -> bool:
        return super().exact and not self.estimates_log_prob

    @property
    def estimates_log_prob(self) -> bool:
        return self._parts()[0].integration.trace != "exact"

    @property
    def protocol(self) -> Mapping[str, Any]:
        how = self._parts()[0].in_evaluation
        return {"solver": str(how.solver), "trace": str(how)}

    def diagnostics(self) -> Mapping[str, Tensor]:
        """`nfe`: evaluations of all vector fields in the latest `log_prob`, where there was one since the last call."""
        evaluations = sum(part.evaluations for part in self._parts())
        for part in self._parts():
            part.evaluations = 0
        return {"nfe": torch.tensor(float(evaluations))} if evaluations else {}

    def log_prob_and_costs(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Costs]:
        """log p(x) as `log_prob`, and what the ways from x to noise cost, over all bijections. All [B]."""
        parts = self._parts()
        with integrating("costs", parts):
            log_prob = self.log_prob(x, y)
        costs = [part.costs for part in parts if part.costs is not None]
        return log_prob, Costs(*(torch.stack(kind).sum(dim=0) for kind in zip(*costs, strict=True)))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        with integrating("map", self._parts()):
            return super().encode(x, y)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        with integrating("map", self._parts()):
            return super().decode(z, y)

    def inverse_error(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        with integrating("map", self._parts()):
            return super().inverse_error(x, y)

    def _parts(self) -> list[Continuous]:
        return [module for module in self.modules() if isinstance(module, Continuous)]
