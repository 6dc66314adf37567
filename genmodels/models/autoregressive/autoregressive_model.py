"""Images by the chain rule: what all autoregressive models share, and three ways to draw from them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from genmodels.distributions import PixelLikelihood
from genmodels.distributions.pixels import scaled
from genmodels.errors import UserError
from genmodels.models.model import Kind, Model

Method = Literal["cached", "naive", "jacobi"]
# Called with x, row and column: two numbers, or two tensors where one step draws several pixels.
Decoder = Callable[[Tensor, Any, Any], Tensor]
Track = Callable[[Iterable[int]], Iterable[int]]


@dataclass(frozen=True)
class Drawing:
    """How images are drawn: the pixels [H, W] that are known already, and `sample`'s other arguments."""

    known: Tensor
    temperature: float
    method: Method
    track: Track


class AutoregressiveModel(Model, ABC):
    """log p(x) = sum over pixels of log p(pixel | the pixels before it in `order`), exact.

    A model offers its conditionals in two ways that must agree: `conditionals` gives those of all pixels at once, and
    `decoder` those of one pixel after another, at a fraction of the cost. All three ways to sample turn the same noise
    into the same picture:

        naive   one pass over the whole image for every step of the order, as the papers describe it
        cached  one small step of the decoder instead (Ramachandran et al. 2017)
        jacobi  all pixels at once, given the previous guess, until nothing changes (Song et al. 2021); exact, since the
                k-th pass makes the k-th step of the order right at the latest

    Args:
        shape: (C, H, W).
        likelihood: of a pixel given the network's outputs for it.
        num_classes: labels y in 0 .. num_classes - 1 condition every pixel; 0 for none.
        order: [C, H, W], the step at which each colour of each pixel is drawn, 0 .. num_steps - 1; what is drawn in one
            step must not depend on one another. None: row by row, and within a pixel colour by colour unless the
            likelihood joins them.
    Attributes:
        exact: True, `log_prob` is the log-likelihood itself.
        init_batch_size: images for data-dependent initialisation. Few, since these models are large: a run of
            PixelCNN++ at the paper's size peaks at 4 GB with 64 and 12 GB with 256 (its official code takes 16 a GPU).
    """

    takes: ClassVar[frozenset[Kind]] = frozenset(("images",))
    exact = True
    init_batch_size = 64
    levels: int
    order: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        likelihood: PixelLikelihood,
        num_classes: int = 0,
        order: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.levels = likelihood.levels
        self.likelihood = likelihood
        self.num_classes = num_classes
        order = raster_order(shape, joint_colours=likelihood.conditions_colours) if order is None else order
        self.register_buffer("order", order)

    @property
    def protocol(self) -> Mapping[str, Any]:
        return self.likelihood.protocol

    @abstractmethod
    def conditionals(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Parameters of the likelihood for every pixel, each from the pixels before it alone.

        Shapes: x [B, C, H, W] of integers, y [B] -> [B, P, H, W].
        """

    @abstractmethod
    def decoder(self, batch: int, y: Tensor | None = None) -> Decoder:
        """A function (x, row, column) -> [B, P, 1], the same parameters for one pixel.

        It is called with the pixels in the order in which they are drawn, again for every step within a pixel, and may
        rely on x alone where x has been drawn. It keeps what later pixels need. Where `order` has N pixels in one step,
        row and column are tensors [N], and [B, P, N] comes back.
        """

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x | y). Shapes: x [B, C, H, W] of integers -> [B], nats."""
        return self.likelihood.log_prob(self.conditionals(x, y), x).flatten(1).sum(dim=1)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        temperature: float = 1.0,
        *,
        method: Method = "cached",
        given: Tensor | None = None,
        known: Tensor | None = None,
        noise: Tensor | None = None,
        track: Track = iter,
    ) -> Tensor:
        """`n` draws, or completions of given pixels.

        Args:
            y: [n] labels; for a class-conditional model without them, drawn uniformly.
            temperature: of every pixel's distribution, see `PixelLikelihood.sample`.
            method: how; the picture does not depend on it but for rounding.
            given: [n, C, H, W], with `known` [H, W] of bool: the pixels that are kept from it.
            noise: [n, U, H, W], uniform in (0, 1); drawn here unless given.
            track: wraps the iterable of steps, e.g. in a progress bar.
        Returns: uint8 [n, C, H, W].
        """
        device = self.order.device
        if self.num_classes and y is None:
            y = torch.randint(self.num_classes, (n,), device=device)
        if noise is None:
            noise = torch.rand(n, self.likelihood.num_noises, *self.shape[1:], device=device)
        known = torch.zeros(self.shape[1:], dtype=torch.bool, device=device) if known is None else known.to(device)
        x = torch.zeros(n, *self.shape, dtype=torch.long, device=device)
        if given is not None:
            x = torch.where(known, given.to(device).long(), x)
        with _evaluating(self):
            return self.drawn(x, y, noise, Drawing(known, temperature, method, track)).to(torch.uint8)

    def drawn(self, x: Tensor, y: Tensor | None, noise: Tensor, how: Drawing) -> Tensor:
        """`sample` of what it has made ready, in evaluation mode: x has the known pixels, and zeros elsewhere."""
        return (self._by_fixed_point if how.method == "jacobi" else self._in_order)(x, y, noise, how)

    def _in_order(self, x: Tensor, y: Tensor | None, noise: Tensor, how: Drawing) -> Tensor:
        decode = self.decoder(len(x), y) if how.method == "cached" else None
        pixels = _pixels_by_step(self.order.cpu())  # numbers read from a GPU in every step would wait for it
        to_draw = torch.where(how.known, -1, self.order)
        for step in how.track(range(self.num_steps)):
            row, column = place_of(*pixels[step])
            if isinstance(row, int):
                # Views cost a tenth of what lists of one index do.
                here = (..., slice(row, row + 1), slice(column, column + 1))
            else:
                here = (..., row[None], column[None])
            params = decode(x, row, column)[:, :, None] if decode else self.conditionals(x, y)[here]
            drawn = self.likelihood.sample(params, noise[here], how.temperature)
            x[here] = torch.where(to_draw[here] == step, drawn, x[here])
        return x

    def _by_fixed_point(self, x: Tensor, y: Tensor | None, noise: Tensor, how: Drawing) -> Tensor:
        for _ in how.track(range(self.num_steps)):
            drawn = self.likelihood.sample(self.conditionals(x, y), noise, how.temperature)
            drawn = torch.where(how.known, x, drawn)
            if torch.equal(drawn, x):
                break
            x = drawn
        return x

    @property
    def num_steps(self) -> int:
        """Steps in which an image is drawn."""
        return int(self.order.max()) + 1

    def _scaled(self, x: Tensor) -> Tensor:
        """Pixel values as numbers from -1 to 1, in the parameters' type."""
        return scaled(x, self.levels, self._dtype)


def _pixels_by_step(order: Tensor) -> list[tuple[Tensor, Tensor]]:
    """For each step rows and columns, [N] each, of the pixels that have a colour in it."""
    pixels: list[dict[int, None]] = [{} for _ in range(int(order.max()) + 1)]
    for pixel, steps in enumerate(order.flatten(1).T.tolist()):
        for step in steps:
            pixels[step][pixel] = None
    of_all = torch.tensor([pixel for now in pixels for pixel in now], device=order.device)
    counts = [len(now) for now in pixels]
    width = order.shape[2]
    return list(zip((of_all // width).split(counts), (of_all % width).split(counts), strict=True))


def place_of(rows: Tensor, columns: Tensor) -> tuple[Any, Any]:
    """What a decoder is called with for the pixels of one step, [N] each."""
    return (int(rows), int(columns)) if len(rows) == 1 else (rows, columns)


def raster_order(shape: Sequence[int], joint_colours: bool) -> Tensor:
    """Row by row, in a row from left to right, and in a pixel colour by colour or all colours at once: [C, H, W]."""
    channels, height, width = shape
    pixels = torch.arange(height * width).view(height, width)
    if joint_colours:
        return pixels.expand(channels, -1, -1).clone()
    return pixels * channels + torch.arange(channels)[:, None, None]


def check_joint_colours(likelihood: PixelLikelihood, model: str) -> None:
    """For a model whose network gives the parameters of all colours of a pixel at once, from the pixels before it.

    Raises:
        UserError: there are several colours and the likelihood does not make them depend on one another.
    """
    if likelihood.channels > 1 and not likelihood.conditions_colours:
        raise UserError(
            f"{model} draws the colours of a pixel together, which takes model/likelihood=logistic_mixture "
            f"for images of {likelihood.channels} colours."
        )


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
