"""Settings held against their ranges: all that are outside told at once, each under the key that a user typed."""

from collections.abc import Iterable, Sequence

from genmodels.errors import UserError


def at_least(smallest: float, /, under: str = "model.", **values: float | Sequence[float] | None) -> None:
    """Check that each value is `smallest` or more.

    Args:
        under: what stands before the names in a config.
        values: under their own names; of a sequence each element, None is left to the model and passes.
    Raises:
        UserError: some are smaller; a sentence for each.
    """
    _check(
        f"{under}{name} must be at least {smallest}, got {_shown(value)}"
        for name, value in values.items()
        if value is not None and any(number < smallest for number in _numbers(value))
    )


def fractions(under: str = "model.", **values: float) -> None:
    """Check that each value lies in [0, 1), as a probability of dropping does; else raise as `at_least`."""
    _check(
        f"{under}{name} must be at least 0 and below 1, got {value}"
        for name, value in values.items()
        if not 0 <= value < 1
    )


def between(low: float, high: float, /, **values: float) -> None:
    """Check that each value lies between the two and is neither; else raise as `at_least`."""
    _check(
        f"model.{name} must lie between {low:g} and {high:g}, got {value}"
        for name, value in values.items()
        if not low < value < high
    )


def _check(mistakes: Iterable[str]) -> None:
    told = "\n".join(mistakes)
    if told:
        raise UserError(told)


def _numbers(value: float | Sequence[float]) -> Sequence[float]:
    return value if isinstance(value, Sequence) else (value,)


def _shown(value: float | Sequence[float]) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, Sequence) else str(value)
