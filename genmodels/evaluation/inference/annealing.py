"""Annealed importance sampling (Neal 2001), by Hamiltonian transitions, of many examples at once (Wu et al. 2017)."""

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor

from genmodels.evaluation.inference.hmc import LogDensity, transition

Schedule = Literal["sigmoidal", "linear"]

_ACCEPTANCE = 0.65  # optimal in many dimensions (Neal 2011, Section 4.4), and what Wu et al. adapt to
_FIRST_SIZE = 0.2
_RATE = 0.5  # of the log step size, for an acceptance wrong by 1
_JITTER = 0.2  # relative: trajectories of one length could return to where they began (Neal 2011, Section 3.2)
_PILOT_SHARE = 10


def temperatures(steps: int, schedule: Schedule) -> Tensor:
    """beta_0 = 0 < ... < beta_steps = 1, float64 [steps + 1].

    sigmoidal: sigmoid(4 (2 t / steps - 1)), shifted and scaled to meet both ends; it moves slowly near them.
    """
    t = torch.linspace(0, 1, steps + 1, dtype=torch.double)
    if schedule == "linear":
        return t
    beta = torch.sigmoid(4 * (2 * t - 1))
    return (beta - beta[0]) / (beta[-1] - beta[0])


def anneal(
    first: LogDensity,
    last: LogDensity,
    draw: Callable[[], Tensor],
    steps: int,
    leapfrog_steps: int,
    schedule: Schedule = "sigmoidal",
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Tensor:
    """Log-weights of which each has E[w] = integral of `last`, so that their log-mean-exp bounds its log from below.

        log w = sum over t of (beta_t - beta_{t-1}) [log last(z_{t-1}) - log first(z_{t-1})],   z_0 ~ first,
        z_t from z_{t-1} by a transition that leaves first^(1 - beta_t) last^beta_t as it is     (Neal 2001, Section 2)

    Each example has its own step sizes, which lead to an acceptance of 0.65 on average over its chains. They are found
    by a pilot with chains of its own and a tenth of the temperatures: sizes that follow the very chains that they move
    leave no density as it is, and the weights would not average to the integral.

    Args:
        first: a normalised log-density; called with z [K * B, Z], the B examples of each chain beside one another.
        last: any log-density.
        draw: gives independent draws of `first`, [K, B, Z]: K chains for each of B examples.
        steps: terms of the sum.
        leapfrog_steps: of a transition.
        track: wraps the loop over the steps, to show progress.
    Returns: [K, B], float64.
    """
    log_sizes = _pilot(first, last, draw(), temperatures(max(10, steps // _PILOT_SHARE), schedule), leapfrog_steps)
    start = draw()
    chains, examples, _ = start.shape
    z, beta = start.flatten(0, 1), temperatures(steps, schedule).tolist()
    log_weights = torch.zeros(len(z), dtype=torch.double, device=z.device)
    for t in track(range(1, steps + 1)):
        with torch.no_grad():
            log_weights += (beta[t] - beta[t - 1]) * (last(z) - first(z)).double()
        if t < steps:
            sizes = log_sizes[(t - 1) * len(log_sizes) // steps].exp().repeat(chains)
            z, _ = transition(_between(first, last, beta[t]), z, _jittered(sizes), leapfrog_steps)
    return log_weights.view(chains, examples)


def _pilot(first: LogDensity, last: LogDensity, start: Tensor, beta: Tensor, leapfrog_steps: int) -> Tensor:
    """Log step sizes of each example along the way, [steps, B]."""
    chains, examples, _ = start.shape
    z, log_size = start.flatten(0, 1), start.new_full((examples,), _FIRST_SIZE).log()
    found = []
    for b in beta[1:].tolist():
        sizes = log_size.exp().repeat(chains)
        z, acceptance = transition(_between(first, last, b), z, _jittered(sizes), leapfrog_steps)
        log_size = log_size + _RATE * (acceptance.view(chains, examples).mean(dim=0) - _ACCEPTANCE)
        found.append(log_size)
    return torch.stack(found)


def _between(first: LogDensity, last: LogDensity, beta: float) -> LogDensity:
    return lambda z: (1 - beta) * first(z) + beta * last(z)


def _jittered(sizes: Tensor) -> Tensor:
    return sizes * (1 + _JITTER * (2 * torch.rand_like(sizes) - 1))
