"""The ranges of numbers and the few words that a setting may take, where its type does not tell.

Outside of them a run would go wrong without a word: a negative gradient_clip_val climbs the loss.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from genmodels.config.targets import is_node


@dataclass(frozen=True)
class Range:
    """Numbers between `low` and `high`.

    Attributes:
        low_open, high_open: whether the end itself is left out.
        also: values outside that mean something.
        fraction: a float is a fraction of a whole: at most 1.
        remark: what the message adds.
    """

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    also: tuple[int, ...] = ()
    fraction: bool = False
    remark: str = ""

    def __contains__(self, value: float) -> bool:
        if value in self.also:
            return True
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return (
            math.isfinite(value) and above and below and not (self.fraction and isinstance(value, float) and value > 1)
        )

    def __str__(self) -> str:
        if math.isfinite(self.high) and not math.isfinite(self.low):
            text = f"at most {self.high:.12g}"
        elif math.isfinite(self.high):
            text = f"in {'(' if self.low_open else '['}{self.low:g}, {self.high:.12g}{')' if self.high_open else ']'}"
        elif math.isfinite(self.low):
            text = f"{'above' if self.low_open else 'at least'} {self.low:g}"
        else:
            text = "finite"
        fraction = " (an integer), or a fraction up to 1.0" if self.fraction else ""
        return text + fraction + "".join(f", or {value}" for value in self.also) + self.remark


FINITE = Range()
COUNT = Range(low=1)
FROM_ZERO = Range(low=0)
POSITIVE = Range(low=0, low_open=True)
SHARE = Range(low=0, high=1)
BELOW_ONE = Range(low=0, high=1, high_open=True)
SEED = Range(low=0, high=2**32 - 1)
LIMIT = Range(low=1, also=(-1,), remark=" for no limit")
BATCHES = Range(low=0, fraction=True)
REPEATS = Range(low=1, high=1e6)  # of a computation each: more would not end
PARTS = Range(high=10_000)  # built or run through one by one; the models know the fewest
_PARTS = (
    *("base_layers", "blocks", "context_blocks", "critic_layers", "critic_mapping_layers", "dense_blocks", "depth"),
    *("evaluation_probes", "evaluation_terms", "exact_terms", "mapping_layers", "num_blocks", "num_couplings"),
    *("num_flows", "num_halvings", "num_hidden", "num_layers", "num_maps", "num_orders", "num_reflections"),
    *("num_resnets", "num_scales", "num_steps", "power_iterations", "probes", "terms"),
)

# By place and last name: "callbacks.decay" is callbacks.ema.decay. Where a name is not listed its place decides; models
# know the ranges of their own sizes.
RANGES = {
    "seed": SEED,
    "n": COUNT,
    "temperature": FROM_ZERO,
    "importance_samples": REPEATS,
    "annealing_steps": REPEATS,
    "num_samples": COUNT,
    "max_images": COUNT,
    "batch_size": COUNT,
    "labels": FROM_ZERO,
    "evaluation": COUNT,
    "evaluation.importance_samples": REPEATS,
    "model.shape": COUNT,
    "model.num_latents": COUNT,
    "model.levels": Range(low=2),
    **{f"model.{name}": PARTS for name in _PARTS},
    "model.num_classes": FROM_ZERO,
    "objective": FROM_ZERO,
    "data": FROM_ZERO,
    "data.shape": COUNT,
    "data.levels": Range(low=2),
    "data.num_classes": COUNT,
    "data.batch_size": COUNT,
    "data.validation": POSITIVE,
    "data.max_train": COUNT,
    "data.shift": BELOW_ONE,
    "data.size": COUNT,
    "data.channels": COUNT,
    "data.seed": SEED,
    "data.split_seed": SEED,
    "data.num_workers": Range(low=0, high=1024),  # processes
    "optimizer": FROM_ZERO,
    "optimizer.lr": POSITIVE,
    "optimizer.eps": POSITIVE,
    "optimizer.betas": BELOW_ONE,
    "optimizer.momentum": BELOW_ONE,
    "optimizer.alpha": BELOW_ONE,
    "optimizer.dampening": SHARE,
    "scheduler": FROM_ZERO,
    "scheduler.rate": Range(low=0, high=1, low_open=True),
    "scheduler.floor": SHARE,
    "scheduler.final_fraction": SHARE,
    "scheduler.total_steps": Range(low=1, remark=" (set trainer.max_steps)"),
    "trainer": FROM_ZERO,
    "trainer.devices": FINITE,  # -1 is all of them; see `devices`
    "trainer.num_nodes": COUNT,
    "trainer.max_epochs": LIMIT,
    "trainer.max_steps": LIMIT,
    "trainer.accumulate_grad_batches": COUNT,
    "trainer.gradient_clip_val": Range(low=0, low_open=True, remark=", or null for no clipping"),
    "trainer.check_val_every_n_epoch": COUNT,
    "trainer.val_check_interval": Range(low=0, low_open=True, fraction=True),
    "trainer.limit_train_batches": Range(low=0, low_open=True, fraction=True),
    "trainer.limit_val_batches": BATCHES,
    "trainer.limit_test_batches": BATCHES,
    "trainer.limit_predict_batches": BATCHES,
    "trainer.overfit_batches": BATCHES,
    "trainer.log_every_n_steps": COUNT,
    "trainer.num_sanity_val_steps": Range(low=0, also=(-1,), remark=" for all"),
    "callbacks": FROM_ZERO,
    "callbacks.decay": BELOW_ONE,
    "callbacks.every": COUNT,
    "callbacks.every_n_steps": COUNT,
    "callbacks.max_consecutive_skips": COUNT,
    "callbacks.n": Range(low=1, high=100_000),  # of a picture, or held at once
    "callbacks.seed": SEED,
    "callbacks.stopping_threshold": FINITE,
    "callbacks.divergence_threshold": FINITE,
}
_FOLLOWS = {
    "data.shape": {"data.size", "data.channels"},
    "model.shape": {"data.shape"},
    "model.levels": {"data.levels"},
    "model.num_classes": {"data.num_classes"},
}
"""Settings that take their values from others."""
CHOICES = {"trainer.gradient_clip_algorithm": ("norm", "value")}
_OURS = ("genmodels.", "torch.", "pytorch_lightning.")


def range_errors(config: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """A sentence for every number out of its range, for every nan and infinity. A user's own classes see to theirs."""
    for key, value in config.items():
        yield from _errors(value, f"{path}.{key}" if path else str(key))


def told_once(errors: Iterable[str]) -> list[str]:
    """Sentences that begin with a setting each, without those about what was only taken from another one of them."""
    told = [(error, error.partition(" ")[0]) for error in errors]
    places = {place for _, place in told}
    return [error for error, place in told if not _FOLLOWS.get(place, set()) & places]


def _errors(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        if not is_node(value) or str(value["_target_"]).startswith(_OURS):
            yield from range_errors(value, path)
    elif isinstance(value, list) and value and all(map(_is_number, value)):
        range = _range(path)
        if any(number not in range for number in value):
            yield f"{path} must hold numbers {range}, got {value}"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _errors(item, f"{path}[{index}]")
    elif _is_number(value) and value not in _range(path):
        yield f"{path} must be {_range(path)}, got {value}"
    elif isinstance(value, str) and value not in CHOICES.get(path, (value,)):
        yield f"{path} must be one of {', '.join(CHOICES[path])}, got {value!r}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _range(path: str) -> Range:
    place, *names = path.split(".")
    place = "optimizer" if place == "optimizers" else place
    keys = (f"{place}.{names[-1]}" if names else place, place)
    return next((RANGES[key] for key in keys if key in RANGES), FINITE)
