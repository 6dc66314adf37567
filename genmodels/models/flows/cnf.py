"""Continuous normalizing flows along vector fields of the whole of x."""

from collections.abc import Sequence

from torch import Tensor

from genmodels.bijections import Centre, Compose, Continuous, Logit, Solver
from genmodels.bijections.continuous import TraceName
from genmodels.distributions import Dequantization
from genmodels.models.flows.continuous_flow import ContinuousFlow, integrations
from genmodels.networks import Field, MLPField
from genmodels.ranges import at_least, between


class CNF(ContinuousFlow):
    """num_blocks continuous bijections of vectors, as FFJORD has them for points and tables, or of whole images.

        z = x(1),   dx/ds = T f(s T, x),   f a network that sees the time, T learned

    Grathwohl et al. 2019 (FFJORD), Sections 4.1 and 4.2, and official code: concatsquash layers, one to ten bijections
    of two or three hidden layers, T starting at 0.5 for points of the plane and at 1 for tables. With one bijection it
    can be trained by flow matching too (Lipman et al. 2023), where images are centred at nought and f is a U-Net.

    Args:
        shape: (D,), or (C, H, W).
        levels: number of pixel values, None for continuous data.
        num_blocks: bijections, each with a field of its own.
        field: the network f of each; a perceptron of three hidden layers of 64 units unless given.
        end_time: T at the start.
        learn_end_time: whether it is learned.
        alpha: of a logit in front, for images; None: pixels are scaled to [-1, 1].
        solver: of the differential equations; dopri5 at 1e-5 unless given.
        trace: in training: "exact", or Hutchinson's estimate by random signs, "rademacher", or noise, "gaussian".
        evaluation_solver: as `solver` unless given.
        evaluation_trace: unless given "exact" for vectors of up to 64 dimensions, else as `trace`.
        evaluation_probes: noise vectors that an estimate in evaluation averages.
        dequantization: of pixels; uniform unless given.
    Raises:
        UserError: a number is out of its range.
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | None,
        num_blocks: int = 1,
        field: Field | None = None,
        end_time: float = 1.0,
        learn_end_time: bool = True,
        alpha: float | None = None,
        solver: Solver | None = None,
        trace: TraceName = "rademacher",
        evaluation_solver: Solver | None = None,
        evaluation_trace: TraceName | None = None,
        evaluation_probes: int = 1,
        dequantization: Dequantization | None = None,
    ) -> None:
        at_least(1, num_blocks=num_blocks)
        at_least(1e-3, end_time=end_time)
        if alpha is not None:
            between(0.0, 0.5, alpha=alpha)
        shape = tuple(shape)
        how = integrations(shape, solver or Solver(), trace, evaluation_solver, evaluation_trace, evaluation_probes)
        network = field or MLPField()
        scaled = [] if levels is None else [Centre() if alpha is None else Logit(alpha)]
        blocks = [Continuous(network.network(shape), *how, end_time, learn_end_time) for _ in range(num_blocks)]
        super().__init__(Compose([*scaled, *blocks]), shape, levels, dequantization=dequantization)
        self.num_blocks = num_blocks

    def at_start(self, x: Tensor) -> Tensor:
        """x as the field sees it: dequantised with fresh noise and scaled. Shapes: [B, *shape] -> the same, floats."""
        if self.dequantization is None:
            return x.to(self._dtype)
        v, _ = self.dequantization(x, self._dtype)
        scaled, _ = self.bijection.bijections[0](v)  # type: ignore[index, operator]
        return scaled

    def velocity(self, time: Tensor, v: Tensor) -> Tensor:
        """dv/ds of the first bijection at times s [B] from 0, the data's, to 1. Shapes: v [B, *shape] -> the same."""
        return self._parts()[0].velocity(time, v)
