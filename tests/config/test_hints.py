"""What a plain config value may stand for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Optional

import pytest
import torch

from genmodels.config.hints import Node, describe, matches

NODE = {"_target_": "genmodels.models.Glow"}

RIGHT = [
    (3, int),
    (3, float),
    (0.5, float),
    (True, bool),
    (None, int | None),
    (None, Optional[int]),  # noqa: UP045  # other libraries' spelling
    ("lu", Literal["lu", "full"]),
    ([1, 8, 8], Sequence[int]),
    ([0.9, 1], tuple[float, float]),
    ([1, 2, 3], tuple[int, ...]),
    ({"a": 1}, dict[str, int]),
    ("data", Path),
    ("data", str | Path),
    (0.1, float | torch.Tensor),
    (NODE, torch.nn.Module),
    (NODE, Node),
    (object(), Any),
]

WRONG = [
    (2.5, int),
    (True, int),
    (True, float),
    ("abc", float),
    (1, bool),
    (None, int),
    ("middle", Literal["lu", "full"]),
    (1, Literal[True]),
    ([1, "8"], Sequence[int]),
    ("188", Sequence[int]),
    ([0.9], tuple[float, float]),
    ({"a": "b"}, dict[str, int]),
    ({"a": 1}, Node),
    (0.1, torch.Tensor),
    (NODE, int),
]


@pytest.mark.parametrize(("value", "hint"), RIGHT)
def test_accepts(value: object, hint: Any) -> None:
    assert matches(value, hint)


@pytest.mark.parametrize(("value", "hint"), WRONG)
def test_refuses(value: object, hint: Any) -> None:
    assert not matches(value, hint)


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int | None, "an integer or null"),
        (Literal["lu", "full"], "one of lu, full"),
        (Sequence[int], "a list (each an integer)"),
        (float | torch.Tensor, "a number"),
        (tuple[float, float], "a list of 2 values (a number, a number)"),
    ],
)
def test_says_what_would_be_right(hint: Any, words: str) -> None:
    assert describe(hint) == words
