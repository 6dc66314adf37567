"""What models of vectors ask of the data."""

from collections.abc import Sequence

from genmodels.errors import UserError


def vector_features(model: str, shape: Sequence[int], num_layers: int) -> int:
    """D of data of shape (D,).

    Raises:
        UserError: it is of another shape, or the flow would have no layer.
    """
    if len(shape) != 1:
        raise UserError(f"model={model} needs vectors but the data has shape {list(shape)}: choose data=energy2d.")
    if num_layers < 1:
        raise UserError(f"model.num_layers={num_layers} must be at least 1.")
    return shape[0]
