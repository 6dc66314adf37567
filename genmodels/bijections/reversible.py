"""Backpropagation that recomputes activations instead of keeping them (Gomez, Ren, Urtasun & Grosse 2017, RevNet).

An invertible network need not remember what went through it: on the way back each layer's input is the inverse of its
output. What is held between the passes is the last output alone, so memory for activations does not grow with depth,
for the price of running every layer once more: a third of a training step if a backward pass is two forward ones, and
half of one or more where networks are small. `experiments/reversible_memory.py` measures both.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from genmodels.bijections.amortized import Amortized
from genmodels.bijections.autoregressive import Autoregressive
from genmodels.bijections.base import Bijection
from genmodels.bijections.batch_norm import FlowBatchNorm
from genmodels.bijections.compose import Compose
from genmodels.bijections.continuous import Continuous
from genmodels.bijections.coupling import Coupling
from genmodels.bijections.on_part import OnPart
from genmodels.bijections.planar import Planar
from genmodels.bijections.radial import Radial
from genmodels.bijections.residual import InvertibleResidual
from genmodels.bijections.second_run import (
    Precision,
    buffers_set_aside,
    leaves_in_place,
    precision_of_now,
    random_state,
    random_state_kept,
    set_random_state,
)
from genmodels.bijections.whole_set_norm import WholeSetBatchNorm
from genmodels.errors import UserError

# Their inverses are iterative, one pass for each dimension, or in training by other statistics than the batch's.
_IRREVERSIBLE = (Amortized, Autoregressive, Continuous, InvertibleResidual, Planar, Radial, WholeSetBatchNorm)


def reversibly(bijection: Bijection, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """`bijection(x, context)`, with the same gradients, for which only the result is kept and the rest recomputed.

    The steps of every `Compose`, also inside an `OnPart`, are recomputed one by one, from last to first. Gradients
    equal the ordinary ones up to the rounding of the inverses, which grows with depth. Noise is that of the first
    run (a random state, 5 kB on the CPU, is held for each step that draws any), batch statistics are taken anew from
    the recomputed batch (those of a `FlowBatchNorm` are held, two numbers a channel), and running averages are
    updated once. Gradients of gradients are not offered. In `eval()`, and where no gradient is asked for, this is the
    plain call.

    Args:
        bijection: parameters with `requires_grad=False` are left out.
    Shapes: as of the bijection.
    """
    parameters = dict.fromkeys(parameter for parameter in bijection.parameters() if parameter.requires_grad)
    wanted = any(tensor is not None and tensor.requires_grad for tensor in (x, context, *parameters))
    if not (bijection.training and torch.is_grad_enabled() and wanted):
        return cast(tuple[Tensor, Tensor], bijection(x, context))
    return cast(tuple[Tensor, Tensor], _Reversible.apply(bijection, x, context, *parameters))


def check_reversible(bijection: Bijection, key: str = "model.reversible") -> None:
    """Raise UserError where a step has no inverse that gives its input back cheaply and to the last digits.

    Args:
        key: of the config, that asks for it.
    """
    for part in bijection.modules():
        if isinstance(part, _IRREVERSIBLE) or _hides_batch_norm(part):
            raise UserError(
                f"{key}=true recomputes activations by exact inverses in training, which "
                f"{type(part).__name__} does not have: use it with couplings, or set {key}=false."
            )


def _hides_batch_norm(part: nn.Module) -> bool:
    """Whether a `FlowBatchNorm` in it is out of reach of the way back, which has to give it its batch's statistics."""
    if not isinstance(part, Bijection) or isinstance(part, Compose | OnPart | FlowBatchNorm):
        return False
    return any(isinstance(module, FlowBatchNorm) for module in part.modules())


class _Note(NamedTuple):
    """What the way back needs of a step beside its output."""

    statistics: tuple[Tensor, Tensor] | None
    random_state: Sequence[Tensor] | None


class _Reversible(torch.autograd.Function):
    """Parameters are inputs so that their gradients take autograd's ordinary way, hooks of data-parallel training
    included; they are saved so that changing one between the passes is an error and no wrong gradient. What is
    recomputed is a function of leaves in their place, so that hooks on them see the whole gradient once."""

    @staticmethod
    def forward(
        ctx: Any, bijection: Bijection, x: Tensor, context: Tensor | None, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.bijection, ctx.parameters, ctx.precision = bijection, parameters, precision_of_now(x.device)
        ctx.places = [(part, *item) for part in bijection.modules() for item in part.named_parameters(recurse=False)]
        way = _WayThere(context)
        with ctx.precision():
            z, log_det = way.through(bijection, x)
        ctx.notes = way.notes
        ctx.save_for_backward(z, context, *parameters)
        return z, log_det

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_z: Tensor, grad_log_det: Tensor) -> tuple[Tensor | None, ...]:
        z, context, *_ = ctx.saved_tensors
        if context is not None:
            context = context.detach().requires_grad_(ctx.needs_input_grad[2])
        draws = any(note.random_state is not None for note in ctx.notes)
        way = _WayBack(grad_log_det, context, list(ctx.notes), ctx.precision)
        wanted = {id(parameter) for parameter in ctx.parameters}
        with leaves_in_place(ctx.places, wanted) as leaf_of, random_state_kept(z.device) if draws else nullcontext():
            _, grad_x = way.through(ctx.bijection, z, grad_z)
        of_parameters = [way.gradients.get(leaf_of[id(parameter)]) for parameter in ctx.parameters]
        return None, grad_x if ctx.needs_input_grad[1] else None, way.gradients.get(context), *of_parameters


class _WayThere:
    """The bijection step by step, without a graph."""

    def __init__(self, context: Tensor | None) -> None:
        self.context = context
        self.notes: list[_Note] = []

    def through(self, step: Bijection, x: Tensor) -> tuple[Tensor, Tensor]:
        match step:
            case Compose():
                log_det = x.new_zeros(len(x))
                for part in _steps(step):
                    x, added = self.through(part, x)
                    log_det = log_det + added
                return x, log_det
            case OnPart():
                z, log_det = self.through(step.inner, step.part(x))
                return step.put_back(z, x), log_det
        state = random_state(x.device)
        z, log_det = cast(tuple[Tensor, Tensor], step(x, self.context))
        has_drawn = not all(map(torch.equal, state, random_state(x.device)))
        statistics = step.batch_statistics(x) if isinstance(step, FlowBatchNorm) and step.training else None
        self.notes.append(_Note(statistics, state if has_drawn else None))
        return z, log_det


class _WayBack:
    """From outputs and their gradients to inputs and theirs; gradients of all else add up on the way.

    Args:
        grad_log_det: [B], the same for every step, since log-determinants are added.
        context: a leaf of every step's graph.
        notes: of the way there, the last one for the step met first.
        precision: of the way there; gradients are computed in that of the backward pass, as ever.
    """

    def __init__(self, grad_log_det: Tensor, context: Tensor | None, notes: list[_Note], precision: Precision) -> None:
        self.grad_log_det = grad_log_det
        self.context = context
        self.notes = notes
        self.precision = precision
        self.gradients = _Sums()

    def through(self, step: Bijection, z: Tensor, grad_z: Tensor) -> tuple[Tensor, Tensor]:
        """x and the gradient with respect to it."""
        match step:
            case Compose():
                for part in reversed(_steps(step)):
                    z, grad_z = self.through(part, z, grad_z)
                return z, grad_z
            case OnPart():
                x, grad_x = self.through(step.inner, step.part(z), step.part(grad_z))
                return step.put_back(x, z), step.put_back(grad_x, grad_z)
        with buffers_set_aside(step), self.precision():
            run = self._run_again(step, z, self.notes.pop())
        return run.join(*(part.detach() for part in run.x)), run.join(*self._differentiate(step, run, grad_z))

    def _run_again(self, step: Bijection, z: Tensor, note: _Note) -> "_Run":
        set_random_state(note.random_state, z.device)
        if isinstance(step, Coupling):
            return self._run_coupling_again(step, z)
        with torch.no_grad():
            if isinstance(step, FlowBatchNorm) and note.statistics is not None:
                x, _ = step.inverse_by(z, *note.statistics)
            else:
                x, _ = step.inverse(z, self.context)
        x = x.detach().requires_grad_()
        set_random_state(note.random_state, z.device)
        with torch.enable_grad():
            again, log_det = step(x, self.context)
        return _Run((x,), again, log_det, lambda whole: whole)

    def _run_coupling_again(self, step: Coupling, z: Tensor) -> "_Run":
        """By one run of its network, whose input the coupling has not changed."""
        given, changed = step.split(z)
        given = given.detach().requires_grad_()
        with torch.enable_grad():
            h = step.net(given, self.context)
        with torch.no_grad():
            changed, _ = step.elementwise.inverse(changed, h)
        changed = changed.detach().requires_grad_()
        with torch.enable_grad():
            again, log_derivative = step.elementwise(changed, h)
            return _Run((given, changed), step.join(given, again), step.log_det(log_derivative), step.join)

    def _differentiate(self, step: Bijection, run: "_Run", grad_z: Tensor) -> Sequence[Tensor]:
        """Gradients of the parts of x; adds to those of context and parameters."""
        others = [parameter for parameter in step.parameters() if parameter.requires_grad]
        if self.context is not None and self.context.requires_grad:
            others.append(cast(nn.Parameter, self.context))
        outputs, grad_outputs = [run.z], [grad_z]
        if run.log_det.requires_grad:
            outputs.append(run.log_det)
            grad_outputs.append(self.grad_log_det)
        found = torch.autograd.grad(outputs, [*run.x, *others], grad_outputs, allow_unused=True)
        for tensor, gradient in zip(others, found[len(run.x) :], strict=True):
            self.gradients.add(tensor, gradient)
        return [
            torch.zeros_like(part) if gradient is None else gradient
            for part, gradient in zip(run.x, found, strict=False)
        ]


class _Run(NamedTuple):
    """A step once more, with a graph: z and log_det as functions of the parts of x, which `join` puts together."""

    x: tuple[Tensor, ...]
    z: Tensor
    log_det: Tensor
    join: Callable[..., Tensor]


class _Sums:
    """Gradients by what they are of; a parameter may belong to several steps."""

    def __init__(self) -> None:
        self._sums: dict[int, Tensor] = {}

    def add(self, tensor: Tensor, gradient: Tensor | None) -> None:
        if gradient is not None:
            # In the layout in which autograd keeps it: it would copy another, and hold both until the end.
            gradient = gradient.contiguous()
            before = self._sums.get(id(tensor))
            self._sums[id(tensor)] = gradient if before is None else before + gradient

    def get(self, tensor: Tensor | None) -> Tensor | None:
        return self._sums.get(id(tensor))


def _steps(composed: Compose) -> Sequence[Bijection]:
    return cast(Sequence[Bijection], composed.bijections)
