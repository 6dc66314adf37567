"""The order of couplings and squeezes of a Flow++, as its configs write it."""

from collections.abc import Sequence

from genmodels.bijections import Bijection, ColumnSplit, Compose, Squeezed
from genmodels.errors import UserError
from genmodels.models.flows.flowpp_couplings import FlowPPCouplings

_KINDS = ("columns", "channels", "columns or channels")


def settle(layout: Sequence[str], shape: tuple[int, int, int]) -> list[str]:
    """`layout` with its entries held against the image, and the choice made where one leaves it to the data.

    Args:
        layout: "4 columns" (four couplings between even and odd columns), "2 channels" (two between the halves of
            the channels), "3 columns or channels" (columns where the width is even there) and "squeeze" (2 x 2 pixels
            into channels, for all that follows), in the order of data to noise.
        shape: (C, H, W) of the image.
    Raises:
        UserError: an entry that is none of these, or does not fit the image.
    """
    channels, height, width = shape
    settled = []
    for entry in layout:
        if entry == "squeeze":
            if height % 2 or width % 2:
                raise UserError(f"model.layout squeezes images of {height}x{width}: both sides must be even there.")
            channels, height, width = 4 * channels, height // 2, width // 2
        else:
            number, kind = _parse(entry)
            if kind == "columns or channels":
                kind = "channels" if width % 2 else "columns"
                entry = f"{number} {kind}"
            if kind == "columns":
                check_columns(f"model.layout entry {entry!r}", width)
            elif channels % 2:
                raise UserError(f"model.layout entry {entry!r} halves {channels} channels: put a squeeze before it.")
        settled.append(entry)
    return settled


def assemble(layout: Sequence[str], shape: tuple[int, int, int], couplings: FlowPPCouplings) -> Bijection:
    """The flow that a settled `layout` describes."""
    if not layout:
        return Compose([])
    entry, rest = layout[0], layout[1:]
    channels, height, width = shape
    if entry == "squeeze":
        inner = assemble(rest, (4 * channels, height // 2, width // 2), couplings)
        return Squeezed(inner, order="space_to_depth")
    number, kind = _parse(entry)
    if kind == "columns":
        stack: Bijection = ColumnSplit(couplings.stack((2 * channels, height, width // 2), number))
    else:
        stack = couplings.stack(shape, number)
    return Compose([stack, assemble(rest, shape, couplings)]) if rest else stack


def check_columns(what: str, width: int) -> None:
    """Raise UserError unless the columns of an image can be paired."""
    if width % 2:
        raise UserError(f"{what} splits even from odd columns and needs images of even width, not {width}.")


def _parse(entry: str) -> tuple[int, str]:
    number, _, kind = entry.partition(" ")
    if kind not in _KINDS or not number.isdecimal() or int(number) < 1:
        kinds = " or ".join(f"'<n> {kind}'" for kind in _KINDS)
        raise UserError(f"model.layout entry {entry!r} must be 'squeeze' or {kinds}.")
    return int(number), kind
