"""What augmentations do to images that show it, how often, and that gradients pass through them."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.models import GAN
from genmodels.objectives import R1, AdaptiveAugment, Augmentation, DiffAugment, Hinge
from genmodels.objectives.warping import mirrored, warped

MANY = 4000


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def constant(*channels: float, side: int = 8, batch: int = MANY) -> Tensor:
    return torch.tensor(channels)[None, :, None, None].expand(batch, -1, side, side)


def assert_uniform(values: Tensor, low: float, high: float) -> None:
    assert low - 1e-5 <= values.min()
    assert values.max() <= high + 1e-5
    expected = torch.linspace(low, high, 5)
    torch.testing.assert_close(
        torch.quantile(values, torch.linspace(0, 1, 5)), expected, atol=0.03 * (high - low), rtol=0
    )


# ---- DiffAugment


def test_colours_have_the_official_ranges() -> None:
    """Left half (1, 0, 0.5), right half the negative: of mean 0, its grey 0.5 on the left."""
    x = torch.cat((constant(1.0, 0.0, 0.5), constant(-1.0, 0.0, -0.5)), dim=3)
    seen = DiffAugment(["color"])(x)
    left, right = seen[..., 0, 0], seen[..., 0, -1]
    assert_uniform(seen.mean((1, 2, 3)), -0.5, 0.5)  # brightness
    contrast = (left - right).mean(1)  # of a grey that differs by 1
    assert_uniform(contrast, 0.5, 1.5)
    assert_uniform((left[:, 0] - left[:, 1]) / contrast, 0, 2)  # saturation


def test_shifts_are_whole_pixels_up_to_an_eighth_and_grey_comes_into_view() -> None:
    x = torch.zeros(MANY, 1, 16, 24)
    x[:, :, 8, 12] = 1
    seen = DiffAugment(["translation"])(x)
    assert torch.equal(seen.sum((1, 2, 3)), torch.ones(MANY))
    rows, columns = seen.sum((1, 3)).argmax(1) - 8, seen.sum((1, 2)).argmax(1) - 12
    assert (rows + 2).bincount().tolist() == pytest.approx([MANY / 5] * 5, rel=0.15)
    assert (columns + 3).bincount().tolist() == pytest.approx([MANY / 7] * 7, rel=0.15)
    edge = DiffAugment(["translation"])(torch.ones(MANY, 1, 8, 8))
    assert set(edge[:, 0, 0, 4].tolist()) == {0.0, 1.0}


def test_holes_are_half_as_wide_with_their_middle_anywhere() -> None:
    """Rows hidden in a side of 8: 4 of them, fewer at the edges; the middle is one of nine places."""
    seen = DiffAugment(["cutout"])(torch.ones(MANY, 1, 8, 8))
    holes = (seen == 0)[:, 0]
    rows, columns = holes.any(2).sum(1), holes.any(1).sum(1)
    assert torch.equal(holes.sum((1, 2)), rows * columns)
    # middle 0..8: the hole is 2, 3, 4, 4, 4, 4, 4, 3, 2 wide
    assert rows.bincount().tolist() == pytest.approx([0, 0, MANY * 2 / 9, MANY * 2 / 9, MANY * 5 / 9], rel=0.15)


# ---- ADA


class Always(AdaptiveAugment):
    """With probability one."""

    def __init__(self, *pipe: Any) -> None:
        super().__init__(pipe, start=1.0)


def test_without_probability_images_stay_as_they_are() -> None:
    x = torch.rand(5, 3, 8, 6)
    torch.testing.assert_close(AdaptiveAugment()(x), x, atol=1e-5, rtol=0)


def test_blits_put_pixels_elsewhere() -> None:
    """A square of all different values: eight ways round, and shifts by up to an eighth."""
    x = torch.arange(64.0).view(1, 1, 8, 8).expand(MANY, -1, -1, -1)
    seen = Always("blit")(x)
    torch.testing.assert_close(seen, seen.round(), atol=1e-3, rtol=0)
    inner = seen[:, 0, 1:-1, 1:-1].round()  # to where nothing comes that was mirrored
    ways = {(round(w[0, 1].item() - w[0, 0].item()), round(w[1, 0].item() - w[0, 0].item())) for w in inner}
    assert ways == {(a, b) for a in (1, -1) for b in (8, -8)} | {(b, a) for a in (1, -1) for b in (8, -8)}
    middles = (inner[:, 2:4, 2:4].mean((1, 2)) - 31.5).round()
    assert set(middles.tolist()) == {8.0 * a + b for a in (-1, 0, 1) for b in (-1, 0, 1)}


def test_half_of_the_images_are_hit_at_probability_half() -> None:
    """By brightness, of the black ones; nothing else moves them."""
    seen = AdaptiveAugment(["color"], start=0.5)(constant(0.0, 0.0, 0.0))
    assert (seen.flatten(1)[:, 0] == 0).float().mean() == pytest.approx(0.5, abs=0.03)


def test_geometry_scales_stretches_turns_and_moves() -> None:
    """In standard deviations: 0.2 octaves each, an eighth of the width and of the height."""
    maps = Always("geometry")._to_source(torch.zeros(MANY, 1, 10, 20))
    area = -torch.linalg.det(maps[:, :2, :2]).log2() / 2
    assert area.mean() == pytest.approx(0, abs=0.02)
    assert area.std() == pytest.approx(0.2, rel=0.05)
    stretch = torch.linalg.svdvals(maps[:, :2, :2]).log2()
    assert ((stretch[:, 0] - stretch[:, 1]) / 2).square().mean().sqrt() == pytest.approx(0.2, rel=0.05)
    shift = -torch.linalg.solve(maps[:, :2, :2], maps[:, :2, 2])
    assert shift.std(0).tolist() == pytest.approx([0.125 * 20, 0.125 * 10], rel=0.05)


def test_colours_are_those_of_the_paper() -> None:
    maps = Always("color")._colors(torch.zeros(MANY, 3, 2, 2))
    grey = torch.tensor([1.0, 1.0, 1.0, 0.0]) / math.sqrt(3)
    contrast = (maps @ grey)[:, :3] @ grey[:3]  # along grey: contrast, mirrored by the luma flip
    assert (contrast < 0).float().mean() == pytest.approx(0.5, abs=0.03)
    assert contrast.abs().log2().std() == pytest.approx(0.5, rel=0.05)
    across = torch.tensor([1.0, -1.0, 0.0]) / math.sqrt(2)
    turned = maps[:, :3, :3] @ across
    saturation = turned.norm(dim=1) / contrast.abs()
    assert saturation.log2().std() == pytest.approx(1.0, rel=0.05)
    assert_uniform(
        torch.atan2(turned @ torch.tensor([1.0, 1.0, -2.0]) / math.sqrt(6), turned @ across), -math.pi, math.pi
    )
    brightness = maps[:, :3, 3].mean(1) / contrast
    assert brightness.std() == pytest.approx(0.2, rel=0.05)


def test_a_single_channel_is_as_grey_as_three() -> None:
    augment = Always("color")
    torch.manual_seed(3)
    one = augment(constant(0.3, batch=50))
    assert one.shape == (50, 1, 8, 8)
    assert one.flatten(1).std(1).max() < 1e-5
    assert one.flatten(1)[:, 0].std() > 0.1


def test_p_rises_and_falls_with_the_images_seen() -> None:
    """By 4 updates of 10 images over 1,000, and never below 0; r of 0.6 itself is no overfitting."""
    augment = AdaptiveAugment(ramp_images=1000)
    sure, unsure = torch.tensor([1.0] * 9 + [-1.0]), torch.tensor([1.0] * 7 + [-1.0] * 3)  # r = 0.8 and 0.4
    seen = []
    for scores in [sure] * 9 + [unsure] * 11 + [unsure] * 4:
        augment.observe(scores)
        seen.append(round(augment.p.item(), 4))
    assert seen[:8] == [0, 0, 0, 0.04, 0.04, 0.04, 0.04, 0.08]
    assert seen[8:12] == [0.08, 0.08, 0.08, 0.04]  # r of the four together: 0.5
    assert seen[12:] == [0.04, 0.04, 0.04] + [0.0] * 9


def test_p_is_kept_in_a_state_and_survives_half_precision() -> None:
    augment = AdaptiveAugment(ramp_images=500_000, start=0.25)
    augment.bfloat16()
    for _ in range(4):
        augment.observe(torch.ones(64))
    other = AdaptiveAugment(ramp_images=500_000)
    other.load_state_dict(augment.state_dict())
    assert other.p.item() == pytest.approx(0.25 + 256 / 500_000, rel=1e-6)


# ---- both


@pytest.mark.parametrize("make", [DiffAugment, lambda: Always("blit", "geometry", "color")])
def test_r1_passes_through_it_twice(make: Callable[[], Augmentation]) -> None:
    """d/dw of |grad of (w . T(x))^2 / 2|^2, against differences in w."""
    augment = make()
    x = torch.rand(3, 3, 8, 8, dtype=torch.float64)
    weight = torch.randn(3 * 64, dtype=torch.float64, requires_grad=True)

    def value(weight: Tensor) -> Tensor:
        def critic(v: Tensor) -> Tensor:
            torch.manual_seed(1)
            return (augment(v).flatten(1) @ weight).square() / 2

        return R1(2.0)(critic, x, x)

    assert torch.autograd.gradcheck(value, (weight,), fast_mode=True)
    assert value(weight).item() > 0


@pytest.mark.parametrize("make", [DiffAugment, lambda: Always("blit", "geometry", "color")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 12)])
def test_it_keeps_shape_and_type(make: Callable[[], Augmentation], dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    x = torch.rand(4, *shape).to(dtype)
    assert make()(x).shape == x.shape
    assert make()(x).dtype == dtype


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: DiffAugment(["colour"]), r"policy must be a list of color, translation, cutout, got \[colour\]"),
        (lambda: DiffAugment([]), r"policy must be a list of color, translation, cutout, got \[\]"),
        (lambda: AdaptiveAugment(["noise"]), r"pipe must be a list of blit, geometry, color, got \[noise\]"),
        (lambda: AdaptiveAugment(every=0), r"objective\.augment\.every must be at least 1"),
        (lambda: AdaptiveAugment(ramp_images=0), r"objective\.augment\.ramp_images must be at least 1"),
        (lambda: AdaptiveAugment(start=-0.1), r"objective\.augment\.start must be at least 0"),
        (lambda: Hinge(augment=DiffAugment()).check(GAN((2,), None)), r"objective/augment is for images"),
    ],
)
def test_mistakes(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        make()


# ---- warping


def test_positions_off_an_image_are_those_of_its_mirror() -> None:
    assert mirrored(torch.arange(-4, 8), 4).tolist() == [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]
    assert mirrored(torch.arange(-2, 3), 1).tolist() == [0] * 5


def test_between_pixels_lie_their_means() -> None:
    """Half a pixel to the right of each, and twice as far from the middle up and down."""
    x = torch.tensor([[0.0, 1, 2, 3], [10, 11, 12, 13]]).view(1, 1, 2, 4)
    right = torch.tensor([[[1.0, 0, 0.5], [0, 1, 0]]])
    assert warped(x, right)[0, 0].tolist() == [[0.5, 1.5, 2.5, 2.5], [10.5, 11.5, 12.5, 12.5]]
    flat = torch.tensor([[[1.0, 0, 0], [0, 0, 0]]])
    assert warped(x, flat)[0, 0].tolist() == [[5.0, 6, 7, 8]] * 2
