"""Which files of a folder are pictures, which of them can be read, and in which shape they come."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_files import write_picture, write_pictures

from genmodels.config.checks import check
from genmodels.config.compose import compose
from genmodels.data import DataModule
from genmodels.data import picture_folder as module
from genmodels.data.examples import Examples
from genmodels.data.loader import BatchLoader, EpochSampler
from genmodels.data.picture_folder import pictures_below
from genmodels.data.source import Options
from genmodels.data.sources import source_for
from genmodels.data.sources.image_folder import CentreCrop
from genmodels.errors import UserError

pytestmark = pytest.mark.usefixtures("empty_caches")


def read(root: Path, part: str = "train", **options) -> Examples:
    return source_for(Options("image_folder", root, **options)).read(part)


def test_links_are_followed_and_nothing_counts_twice(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for path in (root / "z" / "1.png", elsewhere / "2.png", elsewhere / "deep" / "3.png", tmp_path / "single.png"):
        write_picture(path, 9, 9)
    (root / "a").symlink_to(elsewhere)
    (root / "again").symlink_to(root / "z")  # comes first in the alphabet, and is not the folder itself
    (elsewhere / "loop").symlink_to(root)
    (root / "z" / "0.png").symlink_to("1.png")
    (root / "z" / "4.png").symlink_to(tmp_path / "single.png")
    (root / "self").symlink_to(root / "self")
    assert pictures_below(root) == ["a/2.png", "a/deep/3.png", "z/1.png", "z/4.png"]
    (tmp_path / "link").symlink_to(root)
    assert pictures_below(tmp_path / "link") == pictures_below(root)


def test_files_of_systems_and_editors_are_no_pictures(tmp_path: Path) -> None:
    root = tmp_path / ".cache" / "pictures"  # what lies above is the user's choice
    write_picture(root / "a.png", 9, 9)
    for name in ("._a.png", ".hidden.png", "__MACOSX/a.png", "@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg", ".Trash/b.png",
                 ".ipynb_checkpoints/a-checkpoint.png", "$RECYCLE.BIN/c.png", "#recycle/d.png"):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"none")
    for name in ("Thumbs.db", "desktop.ini", "notes.txt"):
        (root / name).write_bytes(b"none")
    assert pictures_below(root) == ["a.png"]


def spoil(root: Path) -> None:
    path = root / "cats" / "1.png"
    path.write_bytes(path.read_bytes()[:2000])
    (root / "cats" / "3.png").write_bytes(b"nothing")
    (root / "dogs" / "0.png").unlink()
    (root / "dogs" / "0.png").symlink_to("nowhere.png")
    for number in range(5):
        Image.new("F", (9, 9)).save(root / "dogs" / f"f{number}.tif")


def test_all_bad_pictures_are_told_before_training(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError) as caught:
        read(tmp_path)
    told = str(caught.value)
    assert told.startswith(f"8 of the 25 pictures in {tmp_path} cannot be read: cats/1.png (")
    assert "cats/3.png (it is no picture), dogs/0.png (No such file or directory), dogs/f0.tif (of its pixels" in told
    assert told.endswith(" and 3 more; mend or remove them, or leave them out with data.skip_bad=true.")
    assert "\n" not in told


def test_bad_pictures_can_be_left_out_and_are_counted(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    spoil(tmp_path)
    with pytest.warns(UserWarning, match=r"8 of the 25 pictures in .* data.skip_bad=true leaves them out"):
        train = read(tmp_path, skip_bad=True, num_classes=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test = read(tmp_path, "test", skip_bad=True)
    assert (len(train), len(test)) == (15, 2)
    assert train[torch.arange(15)][0].shape == (15, 3, 64, 64)
    with pytest.raises(UserError, match=r"data.skip_bad cannot be chosen for digits"):
        source_for(Options("digits", tmp_path, skip_bad=True))


def test_pictures_are_looked_at_once_until_they_change(tmp_path: Path, empty_caches: Path, monkeypatch) -> None:
    write_pictures(tmp_path)
    looked: list[str] = []
    fault = module._fault
    monkeypatch.setattr(module, "_fault", lambda path: looked.append(path.name) or fault(path))
    read(tmp_path)
    assert len(looked) == 20
    before = sorted(path.name for path in tmp_path.rglob("*"))
    looked.clear()
    read(tmp_path)
    assert looked == []
    (tmp_path / "cats" / "1.png").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"1 of the 20 pictures"):
        read(tmp_path)
    assert looked == ["1.png"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == before  # nothing is kept among the pictures
    (kept,) = (empty_caches / "genmodels" / "pictures").iterdir()
    kept.write_bytes(b"damaged")
    looked.clear()
    with pytest.raises(UserError, match=r"1 of the 20 pictures"):
        read(tmp_path)
    assert len(looked) == 20


def test_a_picture_too_large_to_read_is_named(tmp_path: Path, monkeypatch) -> None:
    write_pictures(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 90 * 90)
    Image.new("1", (100, 100)).save(tmp_path / "cats" / "large.png")  # Pillow would only warn
    Image.new("1", (200, 200)).save(tmp_path / "dogs" / "huge.png")  # Pillow's own error
    with pytest.raises(
        UserError, match=r"cats/large.png \(it has more than the 8,100 pixels .* dogs/huge.png \(it has"
    ):
        read(tmp_path)


def test_rectangles(tmp_path: Path) -> None:
    pixels = np.zeros((40, 100, 3), dtype=np.uint8)
    pixels[:, 10:90] = 200  # twice as wide as high
    assert CentreCrop((20, 40), 3)(Image.fromarray(pixels)).shape == (20, 40, 3)
    assert CentreCrop((20, 40), 3)(Image.fromarray(pixels)).min() > 180
    write_pictures(tmp_path)
    assert read(tmp_path, size=[16, 24])[torch.arange(2)][0].shape == (2, 3, 16, 24)
    config = compose(["data=image_folder", "data.size=[16,24]", f"data.root={tmp_path}", "model=glow_small"])
    check(config)
    assert config["data"]["shape"] == config["model"]["shape"] == [3, 16, 24]


@pytest.mark.parametrize("size", [[16], [16, 24, 3], [0, 3]])
def test_impossible_sizes_are_named(tmp_path: Path, size: list[int]) -> None:
    write_pictures(tmp_path)
    with pytest.raises(UserError, match=r"data.size=\[.*\] is impossible for image_folder: use a number, or \[height"):
        read(tmp_path, size=size)


@pytest.mark.parametrize("size", ["0", "-3", "[0,16]"])
def test_a_wrong_size_is_one_sentence_about_it(size: str) -> None:
    config = compose(["data=image_folder", f"data.size={size}", "data.root=x", "model=glow_small"])
    with pytest.raises(UserError) as caught:
        check(config)
    assert str(caught.value).startswith("data.size must ")
    assert "\n" not in str(caught.value)


def test_squares_alone_for_other_sets(tmp_path: Path) -> None:
    for name in ("mnist", "celeba"):
        with pytest.raises(UserError, match=rf"data.size=\[32, 28\] is impossible for {name}|not found"):
            source_for(Options(name, tmp_path, size=[32, 28])).read("train")


def test_a_picture_beside_the_folders_of_the_classes_is_named(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    write_picture(tmp_path / "stray.png", 9, 9)
    with pytest.raises(UserError, match=r"data.num_classes=2 takes the folders below .*, and stray.png lies beside"):
        read(tmp_path, num_classes=2)


def test_there_are_no_more_workers_than_cores(monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)

    class Stored:
        def __len__(self) -> int:
            return 4

        def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
            return rows

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader = BatchLoader(Examples(Stored()), EpochSampler(4, 2, shuffle=False), num_workers=4)
        assert loader._stream.num_workers == 2


def test_a_file_for_a_folder(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", 9, 9)
    with pytest.raises(UserError, match=r"data.root=.*a.png is a file"):
        DataModule("image_folder", [3, 64, 64], 256, None, str(tmp_path / "a.png"), 2, 0.1).train_dataloader()
