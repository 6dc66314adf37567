"""What models ask of the data, each in one sentence to the user."""

from collections.abc import Sequence

from genmodels.errors import UserError


def image_shape(model: str, shape: Sequence[int]) -> tuple[int, int, int]:
    """`shape` as (C, H, W).

    Raises:
        UserError: it is not an image's.
    """
    if len(shape) != 3:
        raise UserError(
            f"model={model} needs images (C, H, W) but the data has shape {list(shape)}; for vectors choose model=nice."
        )
    channels, height, width = shape
    return channels, height, width


def vector_features(model: str, shape: Sequence[int]) -> int:
    """D of data of shape (D,).

    Raises:
        UserError: it is of another shape.
    """
    if len(shape) != 1:
        raise UserError(
            f"model={model} needs vectors but the data has shape {list(shape)}: choose data=toy2d or data=energy2d."
        )
    return shape[0]


def conditional_classes(conditional: bool, num_classes: int | None) -> int:
    """The number of classes a model conditions on: 0 unless `conditional`.

    Raises:
        UserError: the data has no classes to condition on.
    """
    if not conditional:
        return 0
    if not num_classes:
        raise UserError("model.conditional=true needs data with classes, but data.num_classes is null.")
    return num_classes
