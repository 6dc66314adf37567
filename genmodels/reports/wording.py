"""Figures, their protocol and their budget in words. Entries may be a stranger's: anything may stand in them."""

import math
from collections.abc import Mapping
from typing import Any


def number(value: Any) -> float | None:
    """The value if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return None
    return float(value) if math.isfinite(value) else None


def protocol(entry: Mapping[str, Any]) -> str:
    """How a figure was measured: "bound, K=16, ema weights of step 900, 10,000 examples"."""
    kind = entry.get("kind", entry.get("exact_or_bound"))
    terms = [str(kind or "kind not recorded")]
    found = entry.get("protocol")
    for key, value in (found if isinstance(found, Mapping) else {}).items():
        if key != "importance_samples":
            terms.append(f"{key}={value}")
        elif kind != "exact":
            terms.append(f"K={value}")
    step = number(entry.get("step"))
    terms.append(f"{entry.get('weights') or 'unknown'} weights" + ("" if step is None else f" of step {step:,.0f}"))
    count = number(entry.get("num_examples", entry.get("num_images")))
    if count is not None:
        terms.append(f"{count:,.0f} {entry.get('counted', 'examples')}")
    return ", ".join(terms)


def budget(record: Mapping[str, Any]) -> str:
    """What a run has spent: "348 steps, 1.5 min wall, 0.53 min CPU"; says so where it is not recorded."""
    steps, wall, cpu = number(record.get("steps")), wall_minutes(record), cpu_minutes(record)
    terms = ["steps not recorded" if steps is None else f"{steps:,.0f} steps"]
    terms.append("time not recorded" if wall is None and cpu is None else "")
    terms += [f"{_short(value)} min {clock}" for value, clock in ((wall, "wall"), (cpu, "CPU")) if value is not None]
    return ", ".join(filter(None, terms))


def wall_minutes(record: Mapping[str, Any]) -> float | None:
    seconds = number(record.get("wall_time_seconds"))
    return None if seconds is None else seconds / 60


def cpu_minutes(record: Mapping[str, Any]) -> float | None:
    """Of all parts of the run whose CPU time was recorded; None where nobody did."""
    parts = record.get("cpu_seconds")
    seconds = [number(part) for part in (parts if isinstance(parts, list) else [parts])]
    known = [part for part in seconds if part is not None]
    return sum(known) / 60 if known else None


def _short(minutes: float) -> str:
    return f"{minutes:,.1f}" if minutes >= 1 else f"{minutes:.2g}"
