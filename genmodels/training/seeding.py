"""Randomness that is a pure function of where it is used, so that a resumed run repeats what it would have drawn."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

import torch


def mixed_seed(*parts: int | str) -> int:
    """Hash `parts`, e.g. (seed, "train", step, rank), into a seed below 2^63.

    A hash, since sums and products of small numbers collide: (seed 0, rank 1) must not repeat (seed 1, rank 0).
    """
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


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
