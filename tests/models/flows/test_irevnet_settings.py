"""What i-RevNet says of settings that do not fit."""

from typing import Any

import pytest

from genmodels.errors import UserError
from genmodels.models import IRevNet


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"strides": (2,)}, r"^model\.strides=\[2\] must be 1 or 2 for each of the 2 of model\.num_blocks\.$"),
        ({"strides": (2, 3)}, r"^model\.strides=\[2, 3\] must be 1 or 2 for each"),
        ({"strides": (2, 2), "shape": (1, 12, 12)}, r"^model\.strides=\[2, 2\] .* images of 12x12: 1 may be 2\.$"),
        ({"kernel_sizes": (1, 3)}, r"^model\.kernel_sizes=\[1, 3\] must be three odd numbers\.$"),
        ({"kernel_sizes": (1, 2, 1)}, r"^model\.kernel_sizes=\[1, 2, 1\] must be three odd numbers\.$"),
        ({"num_blocks": ()}, r"^model\.num_blocks=\[\] must name one stage or more\.$"),
        ({"num_blocks": (2, 0)}, r"^model\.num_blocks must be at least 1, got \[2, 0\]$"),
        ({"width": 0, "dropout": 0.1}, r"^model\.width must be at least 1, got 0$"),
        ({"dropout": 1.0}, r"^model\.dropout must be at least 0 and below 1, got 1\.0$"),
        ({"shape": (4,)}, r"^model=irevnet needs images"),
        ({"shape": (1, 7, 8)}, r"^irevnet halves its images, and 7x8 cannot be halved"),
    ],
)
def test_what_does_not_fit_is_told_in_a_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as error:
        IRevNet(**({"shape": (1, 8, 8), "levels": 17, "num_blocks": (1, 1)} | settings))
    assert "\n" not in str(error.value)


def test_strides_are_2_as_long_as_the_sides_can_be_halved() -> None:
    for shape, strides in (((1, 8, 8), [2, 2, 1]), ((1, 4, 16), [2, 1, 1]), ((3, 2, 2), [1, 1, 1])):
        assert IRevNet(shape, 17, (1, 1, 1)).chosen == {"strides": strides}
