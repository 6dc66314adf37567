import itertools

import numpy as np
import pytest
import torch

from genmodels.data.augment import Augmentation, binarized, flipped, shifted


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 64, side: int = 10) -> torch.Tensor:
    return torch.randint(256, (count, 3, side, side + 2), dtype=torch.uint8, generator=generator(9))


def test_flips_mirror_about_half_of_the_images_and_leave_the_others():
    x = images(200)
    result = flipped(x, generator())
    mirrored = [torch.equal(image, original.flip(-1)) for image, original in zip(result, x, strict=True)]
    untouched = [torch.equal(image, original) for image, original in zip(result, x, strict=True)]
    assert all(one != other for one, other in zip(mirrored, untouched, strict=True))
    assert 70 < sum(mirrored) < 130  # 100 +- 4 standard deviations of 7


def moved(image: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """The slow way: a frame of repeated edges around the image, and the window that sees it moved."""
    _, height, width = image.shape
    framed = np.pad(image.numpy(), ((0, 0), (4, 4), (4, 4)), mode="edge")
    return torch.from_numpy(framed[:, 4 - down : 4 - down + height, 4 - right : 4 - right + width])


def test_shifts_move_whole_pixels_and_repeat_the_edge():
    x = images(60)
    steps = list(itertools.product(range(-4, 5), repeat=2))
    seen = []
    for image, result in zip(x, shifted(x, 0.2, generator()), strict=True):
        fits = [step for step in steps if torch.equal(result, moved(image, *step))]
        assert len(fits) == 1
        seen += fits
    # 0.2 of 10 rows is 2 pixels, 0.2 of 12 columns is 2.4, rounded to 2.
    assert {down for down, _ in seen} == {-2, -1, 0, 1, 2}
    assert {right for _, right in seen} == {-2, -1, 0, 1, 2}
    assert len(set(seen)) > 12  # the two directions are drawn apart: 25 pairs are possible


def test_five_bit_images_are_floor_divided_as_in_glow():
    x = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    result = Augmentation(divisor=8)(x, generator())
    assert result.dtype == torch.uint8
    assert result.flatten().tolist() == [value // 8 for value in range(256)]


@pytest.mark.parametrize("levels", [256, 17])
def test_binarisation_is_one_with_the_grey_value_as_probability(levels: int):
    values = torch.arange(levels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 50, 50)
    result = binarized(values, levels, generator())
    assert result.dtype == torch.uint8
    assert set(result.unique().tolist()) == {0, 1}
    probability = torch.arange(levels) / (levels - 1)
    means = result.float().mean((1, 2, 3))
    assert (means - probability).abs().max() < 0.05  # 5 standard errors of 2,500 draws
    assert means[0] == 0
    assert means[-1] == 1


def test_everything_off_changes_nothing():
    x = images()
    assert Augmentation()(x, generator()) is x
    vectors = torch.randn(4, 2)
    assert Augmentation()(vectors, generator()) is vectors
