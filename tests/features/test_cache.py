"""Features of data that are kept on disk: found again, never wrong, never in the way."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.features import SmallFeatures, features_of_data


class Counting(SmallFeatures):
    """Says how many images it has seen."""

    seen = 0

    def forward(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return super().forward(images)


class NotKept(Counting):
    is_kept = False


@pytest.fixture
def folder(empty_caches: Path) -> Path:
    return empty_caches / "genmodels" / "features"


def extractor(kind: type[Counting] = Counting, seed: int = 0) -> Counting:
    torch.manual_seed(seed)
    return kind(1, 4).eval()


def images(n: int = 30, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(17, (n, 1, 8, 8), generator=generator, dtype=torch.uint8)


def batches(x: Tensor, size: int = 10) -> Callable[[], Iterable[Tensor]]:
    return lambda: x.split(size)


def test_a_hit_is_what_would_be_computed(folder: Path) -> None:
    first, second = extractor(), extractor()
    computed = features_of_data(first, batches(images()), 17)
    kept = features_of_data(second, batches(images(), size=7), 17)  # the size of batches is no part of the images
    assert (first.seen, second.seen) == (30, 0)
    assert torch.equal(kept, computed)
    direct = extractor()((images().float() * 255 / 16).round().to(torch.uint8))
    torch.testing.assert_close(kept, direct)


@pytest.mark.parametrize("what", ["pixel", "order", "number", "levels", "weights", "resizing"])
def test_anything_else_is_a_miss(what: str, folder: Path) -> None:
    features_of_data(extractor(), batches(images()), 17)
    x, levels, network = images(), 17, extractor(seed=1 if what == "weights" else 0)
    if what == "pixel":
        x[3, 0, 2, 2] = 16 - x[3, 0, 2, 2]
    elif what == "order":
        x = x.flip(0)
    elif what == "number":
        x = x[:-1]
    elif what == "levels":
        levels = 256
    elif what == "resizing":
        network.resizing = "another"
    features_of_data(network, batches(x), levels)
    assert network.seen == len(x)
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "other", "flipped"])
def test_a_damaged_file_is_made_again(damage: str, folder: Path) -> None:
    computed = features_of_data(extractor(), batches(images()), 17)
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    if damage == "flipped":
        content[-5] ^= 64
    file.write_bytes({"cut": content[:-100], "other": b"something else", "flipped": bytes(content)}[damage])
    again = extractor()
    assert torch.equal(features_of_data(again, batches(images()), 17), computed)
    assert again.seen == 30
    last = extractor()
    features_of_data(last, batches(images()), 17)
    assert last.seen == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_no_obstacle(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    assert features_of_data(extractor(), batches(images()), 17).shape == (30, 64)
    assert not list(folder.iterdir())


def test_a_file_in_place_of_the_folder_is_no_obstacle(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("")
    assert features_of_data(extractor(), batches(images()), 17).shape == (30, 64)


def test_features_of_a_users_own_code_are_not_kept(folder: Path) -> None:
    features_of_data(extractor(NotKept), batches(images()), 17)
    assert not folder.exists()


def test_no_examples(folder: Path) -> None:
    with pytest.raises(UserError, match="the split is empty"):
        features_of_data(extractor(), list, 17)
