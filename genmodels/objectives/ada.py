"""ADA: Training Generative Adversarial Networks with Limited Data (Karras et al., NeurIPS 2020), Section 3."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.objectives.augmentation import Augmentation
from genmodels.objectives.warping import warped
from genmodels.ranges import at_least

_Kind = Literal["blit", "geometry", "color"]


class AdaptiveAugment(Augmentation):
    """Random transformations, each with probability p, which grows while the critic overfits (arXiv:2006.06676).

    r = E[sign(D(x))] over data tells overfitting. At every so-many-th update of the critic p moves by the images seen
    since, as a fraction of `ramp_images`: up where r is above its target, else down, never below 0.

    Those of the paper's "bgc", in its order (Appendix B and official code); each image has its own numbers:

    - blit: mirrored left to right; turned by quarters; moved by up to an eighth of the side, whole pixels;
    - geometry: scaled by 2^N(0, 0.2^2); turned by up to a half either way, once before and once after being stretched
      by 2^N(0, 0.2^2) one way and squeezed the other; moved by N(0, 0.125^2) of the side;
    - color: brightness + N(0, 0.2^2); contrast times 2^N(0, 0.5^2); light and dark of the colours swapped; hue turned
      by any angle; saturation times 2^N(0, 1). On a single channel the last two do nothing.

    Left out: the low-pass filter (sym6 wavelets, at twice the resolution) around the geometry, in place of which
    pixels are interpolated linearly; so with `geometry` images get blurred where the paper's do not. Also the
    paper's image-space filters and corruptions (noise, cutout), which "bgc" lacks too.

    Args:
        pipe: which of them.
        target: of r.
        ramp_images: in which p would go from 0 to 1.
        every: updates of the critic between two moves of p.
        start: p at first.
    Raises:
        UserError: there is nothing to do, something unknown, or a number is out of its range.
    """

    goes_by_signs = True
    _risen: Tensor
    _signs: Tensor
    _updates: Tensor

    def __init__(
        self,
        pipe: Sequence[_Kind] = ("blit", "geometry", "color"),
        target: float = 0.6,
        ramp_images: int = 500_000,
        every: int = 4,
        start: float = 0.0,
    ) -> None:
        super().__init__()
        if not pipe or not set(pipe) <= set(get_args(_Kind)):
            known = ", ".join(get_args(_Kind))
            raise UserError(f"objective.augment.pipe must be a list of {known}, got [{', '.join(map(str, pipe))}]")
        at_least(1, under="objective.augment.", ramp_images=ramp_images, every=every)
        at_least(0, under="objective.augment.", start=start)
        self.pipe = frozenset(pipe)
        self.target, self.ramp_images, self.every = target, ramp_images, every
        # Whole numbers: a module of half precision would round anything else.
        self.register_buffer("_risen", torch.tensor(round(start * ramp_images)))  # p, in images
        self.register_buffer("_signs", torch.zeros(2, dtype=torch.int64))  # their sum and number, since p moved
        self.register_buffer("_updates", torch.zeros((), dtype=torch.int64))

    @property
    def p(self) -> Tensor:
        """The probability of each transformation, a scalar."""
        return self._risen.float() / self.ramp_images

    def forward(self, x: Tensor) -> Tensor:
        dtype = x.dtype
        with torch.autocast(x.device.type, enabled=False):  # positions need all digits
            x = x.to(torch.promote_types(dtype, torch.float32))
            if self.pipe & {"blit", "geometry"}:
                x = warped(x, self._to_source(x)[:, :2].to(x.dtype))
            if "color" in self.pipe:
                x = _recolored(x, self._colors(x).to(x.dtype))
        return x.to(dtype)

    @torch.no_grad()
    def observe(self, real_scores: Tensor) -> None:
        self._signs[0] += real_scores.sign().long().sum()
        self._signs[1] += len(real_scores)
        self._updates += 1
        signs, images = self._signs
        move = (signs / images - self.target).sign().long() * images
        is_due = self._updates % self.every == 0  # a tensor: the GPU is not waited for
        self._risen.copy_(torch.where(is_due, (self._risen + move).clamp(min=0), self._risen))
        self._signs *= ~is_due

    def _to_source(self, x: Tensor) -> Tensor:
        """Of a position in the result, that in the image: the inverses, in the order of the transformations.

        Shapes: -> [B, 3, 3], of (right, down, 1) in pixels from the middle.
        """
        chance = _Chance(x, self.p)
        side = torch.tensor((x.shape[3], x.shape[2]), device=x.device)
        matrix = torch.eye(3, device=x.device).expand(len(x), 3, 3)
        if "blit" in self.pipe:
            matrix = matrix @ _scaling(1 - 2 * chance(chance.whole(2), 0), torch.ones(len(x), device=x.device))
            matrix = matrix @ _turn(chance(chance.whole(4), 0) * (math.pi / 2))
            matrix = matrix @ _shift((chance(chance.uniform(2) * 0.125, 0) * side).round())
        if "geometry" in self.pipe:
            scale = chance(2 ** (-0.2 * chance.normal()), 1)
            matrix = matrix @ _scaling(scale, scale)
            share = 1 - (1 - self.p.clamp(0, 1)).sqrt()  # of the two turns, so that one or both have p
            matrix = matrix @ _turn(chance(chance.uniform() * math.pi, 0, share))
            stretch = chance(2 ** (0.2 * chance.normal()), 1)
            matrix = matrix @ _scaling(1 / stretch, stretch)
            matrix = matrix @ _turn(chance(chance.uniform() * math.pi, 0, share))
            matrix = matrix @ _shift(chance(chance.normal(2) * 0.125, 0) * side)
        return matrix

    def _colors(self, x: Tensor) -> Tensor:
        """Affine maps of (red, green, blue, 1), [B, 4, 4]."""
        chance = _Chance(x, self.p)
        whole = torch.eye(4, device=x.device)
        grey = torch.tensor((1.0, 1.0, 1.0, 0.0), device=x.device) / math.sqrt(3)
        light = torch.outer(grey, grey)

        def each(numbers: Tensor) -> Tensor:
            return numbers[:, None, None]

        matrix = whole.expand(len(x), 4, 4).clone()
        matrix[:, :3, 3] = chance(0.2 * chance.normal(), 0)[:, None]
        contrast = chance(2 ** (0.5 * chance.normal()), 1)
        matrix = torch.diag_embed(torch.stack((contrast, contrast, contrast, torch.ones_like(contrast)), 1)) @ matrix
        matrix = (whole - 2 * each(chance(chance.whole(2), 0)) * light) @ matrix
        if x.shape[1] > 1:
            matrix = _turn_about_grey(chance(chance.uniform() * math.pi, 0)) @ matrix
            matrix = (light + (whole - light) * each(chance(2 ** chance.normal(), 1))) @ matrix
        return matrix


class _Chance:
    """Numbers for each image of a batch, and whether it gets them."""

    def __init__(self, x: Tensor, p: Tensor) -> None:
        self._x, self._p = x, p

    def __call__(self, drawn: Tensor, otherwise: float, p: Tensor | None = None) -> Tensor:
        """`drawn` [B, ...] for an image with probability `p`, and else what changes nothing."""
        chosen = self._of(torch.rand) < (self._p if p is None else p)
        return torch.where(chosen.view(-1, *[1] * (drawn.dim() - 1)), drawn, otherwise)

    def uniform(self, *size: int) -> Tensor:
        """U(-1, 1), [B, *size]."""
        return 2 * self._of(torch.rand, *size) - 1

    def normal(self, *size: int) -> Tensor:
        """N(0, 1), [B, *size]."""
        return self._of(torch.randn, *size)

    def whole(self, n: int) -> Tensor:
        """0 .. n - 1, [B]."""
        return (n * self._of(torch.rand)).floor()

    def _of(self, draw: Callable[..., Tensor], *size: int) -> Tensor:
        return draw(len(self._x), *size, device=self._x.device)


def _rows(*rows: Sequence[Tensor]) -> Tensor:
    """Matrices [B, n, n] of their entries [B]."""
    return torch.stack([torch.stack(list(row), 1) for row in rows], 1)


def _scaling(right: Tensor, down: Tensor) -> Tensor:
    zero, one = torch.zeros_like(right), torch.ones_like(right)
    return _rows((right, zero, zero), (zero, down, zero), (zero, zero, one))


def _turn(angle: Tensor) -> Tensor:
    sin, cos, zero, one = angle.sin(), angle.cos(), torch.zeros_like(angle), torch.ones_like(angle)
    return _rows((cos, sin, zero), (-sin, cos, zero), (zero, zero, one))


def _shift(by: Tensor) -> Tensor:
    """Back by [B, 2] pixels (right, down)."""
    zero, one = torch.zeros_like(by[:, 0]), torch.ones_like(by[:, 0])
    return _rows((one, zero, -by[:, 0]), (zero, one, -by[:, 1]), (zero, zero, one))


def _turn_about_grey(angle: Tensor) -> Tensor:
    """Rotations of the colours about the line of greys (Rodrigues' formula), [B, 4, 4]."""
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    light = torch.full((3, 3), 1 / 3, device=angle.device)
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], device=angle.device) / math.sqrt(3)
    turned = torch.eye(4, device=angle.device).repeat(len(angle), 1, 1)
    turned[:, :3, :3] = cos * torch.eye(3, device=angle.device) + sin * cross + (1 - cos) * light
    return turned


def _recolored(x: Tensor, colors: Tensor) -> Tensor:
    """Shapes: [B, C, H, W], [B, 4, 4] -> [B, C, H, W]; a single channel gets what a grey would."""
    if x.shape[1] == 3:
        return torch.einsum("bcd,bdhw->bchw", colors[:, :3, :3], x) + colors[:, :3, 3, None, None]
    mean = colors[:, :3].mean(1)  # [B, 4]
    return x * mean[:, :3].sum(1)[:, None, None, None] + mean[:, 3, None, None, None]
