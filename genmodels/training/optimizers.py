"""Optimisers that torch does not have."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer


class GlowAdamax(Optimizer):
    """The Adamax of Glow's official code (openai/glow, optim.py), which is not the paper's Adamax.

        m <- b1 m + (1 - b1) g
        v <- max(b2 v, |g|)
        p <- p - lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (v + eps)

    The factor sqrt(1 - b2^t) is Adam's; Kingma & Ba 2015 (Algorithm 2) have 1 / (1 - b1^t) alone. It makes the
    first steps of a run smaller. Glow sets b2 = 1 - 1 / (steps per epoch), 0.9898 for CIFAR-10 on 8 GPUs.

    Args:
        params: parameters or parameter groups.
        lr: step size.
        betas: (b1, b2), each in [0, 1).
        eps: added to v.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        if lr < 0 or eps < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"lr and eps must not be negative and betas lie in [0, 1), got {lr=} {eps=} {betas=}")
        super().__init__(params, {"lr": lr, "betas": (float(betas[0]), float(betas[1])), "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient; `closure`, if given, recomputes and returns the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            # Parameters that missed some gradients count their own steps, so a list shares one step count.
            by_step: dict[int, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_step.setdefault(self._next_step(parameter), []).append(parameter)
            b1, b2 = group["betas"]
            for t, parameters in by_step.items():
                self._move(parameters, t, group["lr"], b1, b2, group["eps"])
        return loss

    def _next_step(self, parameter: Tensor) -> int:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["m"] = torch.zeros_like(parameter)
            state["v"] = torch.zeros_like(parameter)
        state["step"] += 1
        return state["step"]

    def _move(self, parameters: list[Tensor], t: int, lr: float, b1: float, b2: float, eps: float) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        m = [self.state[p]["m"] for p in parameters]
        v = [self.state[p]["v"] for p in parameters]
        torch._foreach_lerp_(m, gradients, 1 - b1)
        torch._foreach_mul_(v, b2)
        torch._foreach_maximum_(v, list(torch._foreach_abs(gradients)))
        step_size = lr * (1 - b2**t) ** 0.5 / (1 - b1**t)
        torch._foreach_addcdiv_(parameters, m, torch._foreach_add(v, eps), value=-step_size)


class AdamNormGrad(Adam):
    """Adam on g / (|g| + 1e-7), the gradient of each parameter tensor over its own length (VampPrior's official code).

    How long a gradient is makes no difference, only its direction among the numbers of a tensor. A weight decay enters
    after the division. Arguments as of torch's Adam.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient; `closure`, if given, recomputes and returns the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        lengths = torch._foreach_norm(gradients)
        torch._foreach_div_(gradients, list(torch._foreach_add(lengths, 1e-7)))
        super().step()
        return loss
