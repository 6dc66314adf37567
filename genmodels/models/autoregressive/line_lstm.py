"""The recurrence that the two LSTM layers of PixelRNN share: along the lines of a map, all of a line at once."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from genmodels.networks.causal_conv import Cache


class Lines(nn.Module):
    """The order in which a recurrence visits the pixels of a map, and where it keeps their states.

    A line is the pixels that are computed at once, numbered along it. Number i of a line takes the states of numbers
    i - 1, i, ... of the line before it; some of these lie outside the map. The states of line t - 1, with such places
    around them, lie next to one another in frame t.

    Args:
        ranges: the first number and the number past the last of every line, and once more for after the last line.
        pixel: (direction, line, number) -> the pixel's place in raster order.
        directions: ways to go over the map, with the same ranges.
        taps: states that a pixel takes from the line before.
    Attributes:
        steps: for every line the first of its pixels in the order of visits, their count, the first place of its frame
            and the place where its own states begin.
        num_places: of all frames.
        order: [directions, pixels], the pixel visited at each time; `times` is its inverse.
        first_tap, place: `[directions][pixel]`, where the states a pixel takes begin and where its own goes.
        initial: the places outside the map that hold the initial state, those that number i would find itself at; the
            others outside are zero.
    """

    order: Tensor
    times: Tensor
    initial: Tensor
    taps: Tensor
    places: Tensor

    def __init__(
        self, ranges: Sequence[tuple[int, int]], pixel: Callable[[int, int, int], int], directions: int, taps: int
    ) -> None:
        super().__init__()
        frames = [0, *itertools.accumulate(end - start + taps - 1 for start, end in ranges)]
        self.num_places = frames[-1]
        self.steps: list[tuple[int, int, int, int]] = []
        numbers: list[tuple[int, int]] = []
        initial: list[int] = []
        first_tap: list[int] = []
        place: list[int] = []
        visited, before = 0, range(0)
        for line, ((start, end), (next_start, _)) in enumerate(itertools.pairwise(ranges)):
            frame, states = frames[line], frames[line + 1] + start - next_start + 1
            self.steps.append((visited, end - start, frame, states))
            numbers += [(line, number) for number in range(start, end)]
            first_tap += range(frame, frame + end - start)
            place += range(states, states + end - start)
            initial += [frame + 1 + number - start for number in range(start, end) if number not in before]
            visited, before = visited + end - start, range(start, end)
        order = [[pixel(direction, *at) for at in numbers] for direction in range(directions)]
        times = [sorted(range(visited), key=pixels.__getitem__) for pixels in order]
        self.first_tap = [[first_tap[time] for time in row] for row in times]
        self.place = [[place[time] for time in row] for row in times]
        for name, values in {
            "order": order,
            "times": times,
            "initial": initial,
            "taps": [[first + tap for first in first_tap] for tap in range(taps)],
            "places": self.place,
        }.items():
            self.register_buffer(name, torch.tensor(values), persistent=False)


class StateCache(Cache):
    """A cache that keeps the states of recurrent layers too."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.states: dict[object, Any] = {}


class LineLSTM(nn.Module):
    """The state-to-state part of PixelRNN's LSTM layers.

        o, f, i, g = sigmoid, sigmoid, sigmoid, tanh of (K_ss * h_before + K_is * x)
        c = f c_before + i g
        h = o tanh(c)

    van den Oord et al. 2016, Equation 3, with K_is * x given and c_before of the same number in the line before. The
    initial state is learned (their Section 5.2), here one vector of h and one of c for each direction. K_ss, which sees
    earlier pixels alone, is not masked.

    Args:
        lines: what is visited when.
        width: of the states.
    Shapes: K_is * x [B, directions * 4 * width, H, W] -> h [B, directions * width, H, W].
    """

    def __init__(self, lines: Lines, width: int) -> None:
        super().__init__()
        self.lines = lines
        self.width = width
        directions, taps = len(lines.order), len(lines.taps)
        self.weight = nn.Parameter(torch.empty(directions, taps * width, 4 * width))
        bound = (taps * width) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        self.start = nn.Parameter(torch.zeros(2, directions, width))

    # The compiler would unroll the loop over lines, and take minutes even for a map of 6x6.
    @torch.compiler.disable
    def forward(self, gates: Tensor) -> Tensor:
        batch, _, height, width = gates.shape
        # The states are long sums, so they keep the parameters' precision under autocast.
        with torch.autocast(gates.device.type, enabled=False):
            gates = gates.to(self.weight.dtype).permute(0, 2, 3, 1)
            gates = gates.reshape(batch, height * width, -1, 4 * self.width)
            states = _Sweep.apply(gates, self.weight, self.start, self.lines)
        return states.view(batch, height, width, -1).permute(0, 3, 1, 2)

    def step(self, gates: Tensor, cache: StateCache, pixel: int, direction: int = 0) -> Tensor:
        """h of one pixel, which is kept: [B, 4 * width] -> [B, width].

        Args:
            pixel: in raster order; those it depends on have been stepped through.
        """
        if self not in cache.states:
            states = gates.new_zeros(*self.start.shape[:2], len(gates), self.lines.num_places, self.width)
            states[:, :, :, self.lines.initial] = self.start[:, :, None, None].to(gates.dtype)
            cache.states[self] = states
        h, c = cache.states[self][:, direction]
        first, place = self.lines.first_tap[direction][pixel], self.lines.place[direction][pixel]
        gates = torch.addmm(gates, h[:, first : first + len(self.lines.taps)].flatten(1), self.weight[direction])
        o, f, i = gates[:, : 3 * self.width].sigmoid().chunk(3, dim=1)
        g = gates[:, 3 * self.width :].tanh()
        c_now = torch.addcmul(f * c[:, first + 1], i, g)
        h_now = o * c_now.tanh()
        h[:, place], c[:, place] = h_now, c_now
        return h_now


class _Sweep(torch.autograd.Function):
    """All lines in turn. Its derivative is by hand: a third of the operations that autograd would record for a line,
    and one product for the gradient of the weight in place of one a line.

    Shapes: gates [B, pixels, directions, 4 * width], weight, start as in `LineLSTM` -> [B, pixels, directions, width].
    Inside, with the directions first and the pixels in the order of visits, a line is one block of memory.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, start: Tensor, lines: Lines) -> Tensor:
        batch, pixels, directions, _ = gates.shape
        width = start.shape[2]
        gates = _permuted(gates.permute(2, 1, 0, 3), lines.order)
        h, c = gates.new_zeros(2, directions, lines.num_places, batch, width)
        h[:, lines.initial] = start[0, :, None, None]
        c[:, lines.initial] = start[1, :, None, None]
        tanh_c = gates.new_empty(directions, pixels, batch, width)
        kernels = weight.chunk(len(lines.taps), dim=1)
        for begin, size, frame, place in lines.steps:
            now, states = slice(begin, begin + size), slice(place, place + size)
            gate = gates[:, now]
            flat = gate.flatten(1, 2)
            for tap, kernel in enumerate(kernels, start=frame):
                flat.baddbmm_(h[:, tap : tap + size].flatten(1, 2), kernel)
            gate[..., : 3 * width].sigmoid_()
            gate[..., 3 * width :].tanh_()
            o, f, i, g = gate.chunk(4, dim=-1)
            torch.mul(f, c[:, frame + 1 : frame + 1 + size], out=c[:, states]).addcmul_(i, g)
            torch.tanh(c[:, states], out=tanh_c[:, now])
            torch.mul(o, tanh_c[:, now], out=h[:, states])
        ctx.save_for_backward(gates, h, c, tanh_c, weight)
        ctx.lines = lines
        return _permuted(h, lines.places, batch_first=True).permute(2, 1, 0, 3)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        gates, h, c, tanh_c, weight = ctx.saved_tensors
        lines: Lines = ctx.lines
        width = tanh_c.shape[3]
        o, f, i, g = gates.chunk(4, dim=-1)
        # Of h and of c by what enters the gates, for all lines at once.
        h_by_o = tanh_c * o * (1 - o)
        h_by_c = o * (1 - tanh_c * tanh_c)
        c_by_fig = torch.stack((c[:, lines.taps[1]] * f * (1 - f), g * i * (1 - i), i * (1 - g * g)), dim=-2)
        d_h, d_c = torch.zeros_like(h), torch.zeros_like(c)
        for direction, places in enumerate(lines.places):
            d_h[direction].index_copy_(0, places, grad[:, :, direction].transpose(0, 1))
        d_gates = torch.empty_like(gates)
        kernels = weight.mT.chunk(len(lines.taps), dim=2)
        for begin, size, frame, place in reversed(lines.steps):
            now, states = slice(begin, begin + size), slice(place, place + size)
            of_h, of_c, of_gates = d_h[:, states], d_c[:, states], d_gates[:, now]
            of_c.addcmul_(of_h, h_by_c[:, now])
            torch.mul(of_h, h_by_o[:, now], out=of_gates[..., :width])
            fig = of_gates[..., width:].unflatten(-1, (3, width))
            torch.mul(of_c.unsqueeze(-2), c_by_fig[:, now], out=fig)
            d_c[:, frame + 1 : frame + 1 + size].addcmul_(of_c, f[:, now])
            for tap, kernel in enumerate(kernels, start=frame):
                d_h[:, tap : tap + size].flatten(1, 2).baddbmm_(of_gates.flatten(1, 2), kernel)
        seen = [h[:, taps].flatten(1, 2).mT @ d_gates.flatten(1, 2) for taps in lines.taps]
        d_start = torch.stack([d[:, lines.initial].sum(dim=(1, 2)) for d in (d_h, d_c)])
        d_gates = _permuted(d_gates, lines.times, batch_first=True).permute(2, 1, 0, 3)
        return d_gates, torch.cat(seen, dim=1), d_start, None


def _permuted(x: Tensor, index: Tensor, batch_first: bool = False) -> Tensor:
    """x[d, index[d]] for every direction d, in its own order in memory: [D, N, B, C] -> [D, M, B, C].

    Args:
        batch_first: lay it out as [B, M, D, C], where convolutions want it, instead.
    """
    (directions, length), (batch, channels) = index.shape, x.shape[2:]
    if batch_first:
        result = x.new_empty(batch, length, directions, channels).permute(2, 1, 0, 3)
    else:
        result = x.new_empty(directions, length, batch, channels)
    for source, at, target in zip(x, index, result, strict=True):
        torch.index_select(source, 0, at, out=target)
    return result
