"""Every size of every model is held against its range, and a mistake names its key."""

import inspect
import pkgutil
import re
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from model_configs import MODELS, data_node, model_node

from genmodels.config.targets import build, is_node
from genmodels.errors import UserError
from genmodels.models import Glow
from genmodels.ranges import at_least, between, fractions

OF_THE_DATA = {"shape", "levels", "num_classes"}
MAY_BE_ZERO = {"num_halvings", "dense_blocks", "exact_terms", "exact_up_to"}


def _node(name: str) -> dict[str, Any]:
    return model_node(name, data_node("toy2d" if name in ("planar", "radial") else "digits"))


def _settings(node: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every setting of a node and of those in it, with its type."""
    target = pkgutil.resolve_name(node["_target_"])
    hints = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    for key, value in node.items():
        if is_node(value):
            yield from _settings(value, (*path, key))
        elif key not in OF_THE_DATA | {"_target_"}:
            yield (*path, key), hints[key]


def _with(node: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    key, *rest = path
    return {**node, key: _with(node[key], tuple(rest), value) if rest else value}


def _wrong(path: tuple[str, ...], hint: Any) -> list[Any]:
    if hint in (int, int | None):
        return [-1] if path[-1] in MAY_BE_ZERO else [0, -1]
    if path[-1] == "hidden":
        return [[], [0], [8, -1]]
    if hint is float:
        return {
            "dropout": [-0.1, 1.0],
            "label_dropout": [-0.1, 1.0],
            "alpha": [0.0, -1.0, 0.5],
            "lipschitz": [0.0, 1.0],
            "end_time": [0.0, -1.0],
            "atol": [0.0, -1.0],
            "rtol": [0.0, -1.0],
            "mixing": [-0.1, 1.1],
            "average_decay": [0.0, 1.0],
        }[path[-1]]
    return []


@pytest.mark.parametrize("name", MODELS)
def test_numbers_out_of_range_are_refused_by_their_key(name: str) -> None:
    node, tried = _node(name), 0
    for path, hint in _settings(node):
        for value in _wrong(path, hint):
            tried += 1
            with pytest.raises(UserError, match="^" + re.escape(".".join(("model", *path))) + r"\b"):
                build(_with(node, path, value), "model")
    assert tried


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(UserError) as error:
        Glow((1, 8, 8), 17, num_scales=-1, num_steps=0, width=-3)
    assert str(error.value).splitlines() == [
        "model.num_scales must be at least 1, got -1",
        "model.num_steps must be at least 1, got 0",
        "model.width must be at least 1, got -3",
    ]


def test_the_edges_of_ranges() -> None:
    at_least(1, under="", samples=1, hidden=[1, 5], unset=None)
    fractions(dropout=0.0)
    between(0.0, 0.5, alpha=1e-6)
    with pytest.raises(
        UserError, match=r"^samples must be at least 2, got 1\nhidden must be at least 2, got \[2, 1\]$"
    ):
        at_least(2, under="", samples=1, hidden=(2, 1))
    for value in (1.0, float("nan")):
        with pytest.raises(UserError, match=r"^model\.dropout must be at least 0 and below 1, got "):
            fractions(dropout=value)
    with pytest.raises(UserError, match=r"^model\.alpha must lie between 0 and 0\.5, got 0\.5$"):
        between(0.0, 0.5, alpha=0.5)
