"""What a machine's memory can hold, asked beforehand: what cannot fit would be computed until a kill ends it."""

import math
import os
from collections.abc import Sequence

from genmodels.errors import UserError


def installed_memory() -> float:
    """Bytes of the machine's memory; infinity where the system does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return math.inf


def hold_in_memory(key: str, count: int, shape: Sequence[int], bytes_per_value: int = 1) -> None:
    """Check that `count` examples fit into the machine's memory, whatever else is in it.

    Args:
        key: the setting that asks for so many.
        shape: of one example.
        bytes_per_value: 1 for images, 4 for vectors.
    Raises:
        UserError: they are more than it holds.
    """
    needed, available = count * math.prod(shape) * bytes_per_value, installed_memory()
    if needed > available:
        raise UserError(
            f"{key}={count} does not fit into memory: so many of shape {list(shape)} take {needed / 2**30:,.0f} GiB, "
            f"and this machine has {available / 2**30:,.0f} GiB"
        )
