"""What a search varies: keys of the configuration, each with an expression of Hydra's sweep grammar."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from genmodels.errors import UserError

_GRAMMAR = "choice(a,b), range(1,5), interval(0.1,0.9), int(interval(1,9)) or tag(log, interval(1e-4,1e-2))"


@dataclass(frozen=True)
class Space:
    """The searched keys.

    Attributes:
        expressions: by key or config group, as written.
        distributions: the same for Optuna. What a choice chooses is its text, as it would be typed.
    """

    expressions: dict[str, str]
    distributions: dict[str, BaseDistribution]

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """A trial's values as they would be typed: ["optimizer.lr=0.0012", "scheduler=cosine"]."""
        return [f"{key}={values[key]}" for key in self.expressions]

    def ends(self) -> list[list[str]]:
        """Two trials as far apart as can be: every key at its lowest value or first choice, and at its last."""
        pairs = {key: _ends(distribution) for key, distribution in self.distributions.items()}
        return [self.overrides({key: pair[end] for key, pair in pairs.items()}) for end in (0, 1)]


def read_space(nodes: Mapping[str, Any], fixed: Iterable[str] = ()) -> Space:
    """The space that conf/sweep/*.yaml writes in the shape of the configuration: `optimizer: {lr: interval(...)}`.

    Args:
        nodes: keys and groups, nested as in the configuration, to expressions of Hydra's sweep grammar. A range leaves
            its stop out, as Python's.
        fixed: keys that the user has set, which are not searched then.

    Raises:
        UserError: an expression cannot be read or varies nothing, or nothing is left to search.
    """
    fixed = set(fixed)
    expressions = {key: text for key, text in _leaves(nodes) if key not in fixed}
    if not expressions:
        raise UserError("sweep.space is empty, so there is nothing to search: choose another sweep=...")
    return Space(expressions, {key: _distribution(key, text) for key, text in expressions.items()})


def _leaves(nodes: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in nodes.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", str(value)


def _distribution(key: str, text: str) -> BaseDistribution:
    where = f"sweep.space.{key}={text}"
    try:
        override = OverridesParser.create().parse_override(f"{key}={text}")
        value = override.value()
    except HydraException:
        raise UserError(f"{where} cannot be read: write {_GRAMMAR}") from None
    try:
        return _of_sweep(override, value)
    except ValueError as error:
        raise UserError(f"{where}: {' '.join(str(error).split())}") from error
    except TypeError:
        raise UserError(f"{where} is nothing to choose from: write {_GRAMMAR}") from None


def _of_sweep(override: Override, value: Any) -> BaseDistribution:
    """Raises TypeError if it is no sweep of a known kind, ValueError if it is empty or contradicts itself."""
    if isinstance(value, ChoiceSweep):
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    log = "log" in getattr(value, "tags", ())
    kind: Any
    if isinstance(value, IntervalSweep):
        kind = IntDistribution if isinstance(value.start, int) else FloatDistribution
        return kind(value.start, value.end, log=log)
    if isinstance(value, RangeSweep):
        values = list(value.range())
        if not values or value.step <= 0:
            raise ValueError("a range has to rise from its start, and to hold a value")
        kind = IntDistribution if all(isinstance(v, int) for v in values) else FloatDistribution
        return kind(values[0], values[-1], step=value.step, log=log)
    raise TypeError


def _ends(distribution: BaseDistribution) -> tuple[Any, Any]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0], distribution.choices[-1]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return distribution.low, distribution.high
