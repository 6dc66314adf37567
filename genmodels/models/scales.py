"""How often a multi-scale model halves its images: checked, or chosen from the data."""

from collections.abc import Sequence

from genmodels.errors import UserError


def scales_for(model: str, shape: Sequence[int], asked: int | None, wished: int, last_squeezes: bool) -> int:
    """The number of scales: the one asked for, or the largest up to `wished` that fits.

    Sides are halved at every scale, at the last one only if it squeezes, and have two pixels or more there (one after
    its squeeze).

    Args:
        shape: (C, H, W).
        asked: model.num_scales, None where the data decides.
    Raises:
        UserError: what was asked for does not fit, or nothing does; the sentence names the largest that does.
    """
    _, height, width = shape

    def fits(scales: int) -> bool:
        step = 2 ** (scales if last_squeezes else scales - 1)
        return not (height % step or width % step) and min(height, width) >= 2**scales

    fitting = [scales for scales in range(1, max(height, width).bit_length()) if fits(scales)]
    if asked is None and fitting:
        return max(scales for scales in fitting if scales <= wished)  # what can be halved twice can be halved once
    if asked in fitting:
        return asked
    size = f"{height}x{width}"
    if not fitting:
        raise UserError(f"{model} halves its images, and {size} cannot be halved: choose data of even sides.")
    remedy = f"the largest that fits is model.num_scales={fitting[-1]}"
    raise UserError(f"model.num_scales={asked} of {model} does not fit images of {size}: {remedy}.")


def doublings_for(model: str, shape: Sequence[int], asked: int | None) -> int:
    """How often a generator doubles its smallest map: as asked, or from 4x4 or a little more where the data decides.

    Fewer where the sides cannot be halved so often; 3 for 32x32, 2 for 28x28, 1 for 8x8. Raises as `scales_for`.
    """
    return scales_for(model, shape, asked, max(1, min(shape[1:]).bit_length() - 3), last_squeezes=True)
