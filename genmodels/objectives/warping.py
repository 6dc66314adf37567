"""Images taken apart and put together elsewhere: each of a batch in its own way, twice differentiable."""

import torch
from torch import Tensor


def picked(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Pixel (i, j) of the result is pixel (rows[i], columns[j]) of the image.

    Shapes: x [B, C, H, W], rows [B, H'] and columns [B, W'] int64 -> [B, C, H', W'].
    """
    batch, channels, _, width = x.shape
    index = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)[:, None]
    return x.flatten(2).gather(2, index.expand(-1, channels, -1)).view(batch, channels, rows.shape[1], columns.shape[1])


def mirrored(position: Tensor, side: int) -> Tensor:
    """Where a position off the image comes to lie when the image is mirrored in its outermost pixels."""
    last = max(side - 1, 1)
    return (last - (last - position.remainder(2 * last)).abs()).clamp(max=side - 1)


def warped(x: Tensor, to_source: Tensor) -> Tensor:
    """Bilinear interpolation of mirrored images at affine images of the pixels' positions.

    Not `grid_sample`, which torch cannot differentiate twice, as gradient penalties need.

    Args:
        x: [B, C, H, W].
        to_source: [B, 2, 3]; of a position (right, down, 1) in pixels from the middle, the one that it shows.
    Shapes: -> [B, C, H, W].
    """
    batch, channels, height, width = x.shape
    down = torch.arange(height, device=x.device, dtype=x.dtype) - (height - 1) / 2
    right = torch.arange(width, device=x.device, dtype=x.dtype) - (width - 1) / 2
    places = torch.stack((right.expand(height, -1), down[:, None].expand(-1, width), torch.ones_like(x[0, 0])))
    columns, rows = (to_source @ places.flatten(1)).unbind(1)  # [B, H * W] each
    columns, rows = columns + (width - 1) / 2, rows + (height - 1) / 2
    left, above = columns.floor(), rows.floor()
    pixels, found = x.flatten(2), torch.zeros_like(x).flatten(2)
    for row, row_share in ((above, 1 - (rows - above)), (above + 1, rows - above)):
        for column, column_share in ((left, 1 - (columns - left)), (left + 1, columns - left)):
            index = mirrored(row, height).long() * width + mirrored(column, width).long()
            values = pixels.gather(2, index[:, None].expand(-1, channels, -1))
            found = found + values * (row_share * column_share)[:, None]
    return found.view(batch, channels, height, width)
