"""Solving initial value problems, with gradients: torchdiffeq behind the few choices that matter here."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torchdiffeq import odeint, odeint_adjoint

from genmodels.errors import UserError
from genmodels.ranges import at_least

State = tuple[Tensor, ...]
Method = Literal["dopri5", "dopri8", "bosh3", "adaptive_heun", "euler", "midpoint", "rk4"]
FIXED = ("euler", "midpoint", "rk4")
_UNCONTROLLED = 1e20


@dataclass(frozen=True)
class Solver:
    """A method of integration over the unit interval, and how gradients come through it.

    Attributes:
        method: dopri5, dopri8, bosh3, adaptive_heun choose their steps; euler, midpoint, rk4 take equal ones.
        atol: absolute error that a step may have.
        rtol: error that it may have in parts of the state; the root mean square over a batch counts.
        step_size: of the methods of equal steps, in parts of the interval.
        adjoint: solve a second equation backwards for the gradient, at constant memory; otherwise backpropagate
            through the steps, which is faster where they fit into memory, and exact for the steps taken.
    """

    method: Method = "dopri5"
    atol: float = 1e-5
    rtol: float = 1e-5
    step_size: float | None = None
    adjoint: bool = True

    def check(self, key: str) -> None:
        """Raise UserError where the numbers are out of their ranges or do not fit the method; `key` is what users type.

        Tolerances of nought, which no step meets, are out of range too.
        """
        at_least(1e-14, under=f"{key}.", atol=self.atol, rtol=self.rtol)
        if (self.method in FIXED) != (self.step_size is not None):
            wants = "needs" if self.method in FIXED else "chooses its steps itself: leave out"
            raise UserError(f"{key}.method={self.method} {wants} {key}.step_size, such as 0.25 of rk4")
        if self.step_size is not None and not 0 < self.step_size <= 1:
            raise UserError(f"{key}.step_size must be above 0 and at most 1, the whole time, got {self.step_size}")

    def __str__(self) -> str:
        if self.step_size is not None:
            return f"{self.method} step {self.step_size:g}"
        return f"{self.method} atol {self.atol:g} rtol {self.rtol:g}"

    def solve(
        self,
        derivative: Callable[[Tensor, State], State],
        state: State,
        start: float,
        end: float,
        parameters: Sequence[Tensor],
        controlled: int,
    ) -> State:
        """The state at time `end` of what is `state` at `start`.

        Args:
            derivative: of the state, (time [], state) -> state.
            parameters: all tensors by which `derivative` is to be differentiated.
            controlled: the first so many parts of the state are held to the tolerances.
        Raises:
            UserError: the steps have become too small to go on.
        """
        time = torch.tensor([start, end], dtype=state[0].dtype, device=state[0].device)
        there: dict[str, Any] = {
            "method": self.method,
            "atol": self._tolerances(self.atol, len(state), controlled),
            "rtol": self._tolerances(self.rtol, len(state), controlled),
            "options": self._options(time[1:]),
        }
        back = {"adjoint_atol": self.atol, "adjoint_rtol": self.rtol, "adjoint_options": self._options(time[:1])}
        with telling_of_stiffness():
            if self.adjoint and torch.is_grad_enabled():
                wanted = tuple(p for p in parameters if p.requires_grad)
                path = odeint_adjoint(derivative, state, time, **there, **back, adjoint_params=wanted)
            elif len(state) == 1:  # a tuple would be taken apart and put together again in every evaluation
                return (odeint(lambda t, z: derivative(t, (z,))[0], state[0], time, **there)[-1],)
            else:
                path = odeint(derivative, state, time, **there)
        return tuple(part[-1] for part in path)

    @staticmethod
    def _tolerances(tolerance: float, parts: int, controlled: int) -> float | tuple[float, ...]:
        if parts == controlled:
            return tolerance
        return tuple([tolerance] * controlled + [_UNCONTROLLED] * (parts - controlled))

    def _options(self, end: Tensor) -> dict[str, Any]:
        # A step has to end there: torchdiffeq would step beyond and interpolate, at a lower order than the method's.
        return {"step_t": end} if self.step_size is None else {"step_size": self.step_size}


@contextmanager
def telling_of_stiffness() -> Iterator[None]:
    """Turn the end of a solver's patience, in a solution or its gradient, into a sentence.

    Raises:
        UserError: a step was too small to move the time, or not a number.
    """
    try:
        yield
    except AssertionError as error:
        found = re.match("underflow in dt|non-finite values", str(error))
        if found is None:
            raise
        raise UserError(
            f"the differential equation cannot be solved on (torchdiffeq: {found[0]}), for the vector field has become "
            "stiff or not finite: lower optimizer.lr, set optimizer.weight_decay or trainer.gradient_clip_val, choose "
            "objective=rnode or a smooth model.field.activation, or steps of one size with model/solver=rk4"
        ) from error
