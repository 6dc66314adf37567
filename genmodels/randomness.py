"""Randomness that is a pure function of what it is for, so that a resumed run repeats what it would have drawn."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_for(purpose: str, *key: int) -> int:
    """A seed below 2^63 that depends on the purpose and every number of the key, and on nothing else.

    `seed_for("train", seed, step, rank)`: numpy's SeedSequence mixes the key, since sums and products of small numbers
    collide: (seed 0, rank 1) must not repeat (seed 1, rank 0).
    """
    mixed = np.random.SeedSequence([zlib.crc32(purpose.encode()), *key]).generate_state(1, np.uint64)
    return int(mixed[0] >> np.uint64(1))


def generator_for(purpose: str, *key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator at `seed_for` the same arguments: the same numbers in any process, after any history."""
    return torch.Generator(device).manual_seed(seed_for(purpose, *key))


def seed_generators(seed: int, device: torch.device) -> None:
    """Set torch's generators for the CPU and for `device`.

    Not `torch.manual_seed`, which costs a millisecond and queues a call for every accelerator that is not in use.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Run the body with torch's generators (CPU and `device`) at `seed`, then put their states back."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        seed_generators(seed, device)
        yield
