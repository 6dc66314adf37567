"""Random numbers as a function of what they are for."""

import zlib

import numpy as np
import torch


def generator_for(purpose: str, *key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that depends on the purpose and every number of the key, and on nothing else.

    `generator_for("noise", seed, epoch, batch)` gives the same numbers in any process, after any history; that is what
    lets a run resume exactly. numpy's SeedSequence mixes the key, so neighbouring epochs share no stream.
    """
    mixed = np.random.SeedSequence([zlib.crc32(purpose.encode()), *key]).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(mixed[0] >> np.uint64(1)))
