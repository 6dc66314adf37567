"""One hostile file for each place that reads what somebody else may have written: the rows of docs/foreign_files.md.

Those whose tests stand with their reader are named there and not repeated here.
"""

import hashlib
import io
import os
import pickle
import re
import shutil
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas
import pytest
import torch
import yaml
from command_line import ROOT
from PIL import Image, UnidentifiedImageError
from safetensors.torch import save_file
from tiny_files import md5, write_bsds300, write_celeba, write_gas, write_hepmass, write_imagenet_box, write_power

from genmodels import load_run
from genmodels.data.pickles import read_arrays, read_frame
from genmodels.data.source import Options
from genmodels.data.sources import source_for, tabular
from genmodels.errors import UserError
from genmodels.experiment import train
from genmodels.features import chosen_features, inception
from genmodels.picture_files import open_picture
from genmodels.pictures import save_animation
from genmodels.runs.folder import RunFolder, read_json
from genmodels.runs.metrics_csv import read_metrics
from genmodels.training import read_checkpoint
from genmodels.training.csv_logger import CSVMetrics, read_rows
from genmodels.training.wandb_logger import WandbRun


def _refusal(use: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        use()
    told = str(caught.value)
    assert "\n" not in told
    return told


def _read(root: Path, name: str, **options: Any) -> Callable[[], object]:
    return lambda: source_for(Options(name, root, **options)).read("train")


class Touch:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


# Checkpoints


def _deflated(path: Path) -> None:
    """The same archive, compressed: torch would unfold it."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in content.items():
            archive.writestr(name, part)


def _nest(depth: int) -> list:
    """Ten lists in ten lists in ..., of ten to the power of `depth` places and a few bytes."""
    nest: list = []
    for _ in range(depth):
        nest = [nest] * 10
    return nest


@pytest.mark.parametrize("kind", ["compressed zeros", "lists in lists", "one number under a large shape"])
def test_a_checkpoint_unfolds_to_no_more_than_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "last.ckpt"
    content = {
        "compressed zeros": torch.zeros(1_000_000)[:1],
        "lists in lists": _nest(6),
        "one number under a large shape": torch.zeros(1).expand(10**12),
    }
    torch.save({"a": content[kind]}, path)
    if kind == "compressed zeros":
        assert read_checkpoint(path)["a"].shape == (1,)
        _deflated(path)
    assert path.stat().st_size < 100_000
    assert f"{path} is not a whole checkpoint (it unfolds to more than its own size)" in _refusal(
        lambda: read_checkpoint(path)
    )


def test_tied_weights_are_no_bomb(tmp_path: Path) -> None:
    weight = torch.zeros(100_000)
    torch.save({"first": weight, "second": weight, "third": weight}, tmp_path / "last.ckpt")
    assert set(read_checkpoint(tmp_path / "last.ckpt")) == {"first", "second", "third"}


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        (b"c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R", "it asks for a bytearray"),
        (b"c_codecs\nencode\nX\x02\x00\x00\x00abX\x09\x00\x00\x00Hex-codec\x86R", "it asks for a codec"),
    ],
)
def test_a_checkpoint_calls_nothing_that_makes_much_of_little(tmp_path: Path, calls: bytes, reason: str) -> None:
    path = tmp_path / "last.ckpt"
    torch.save({"a": b"bytes"}, path)
    assert read_checkpoint(path) == {"a": b"bytes"}
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in content.items():
            archive.writestr(name, b"\x80\x02" + calls + b"." if name.endswith("data.pkl") else part)
    assert f"{path} is not a whole checkpoint ({reason})" in _refusal(lambda: read_checkpoint(path))


def test_a_checkpoint_is_no_script(tmp_path: Path) -> None:
    """TorchScript is code, in an archive of the same kind."""
    torch.jit.save(torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1)), tmp_path / "last.ckpt")
    assert "is not a whole checkpoint" in _refusal(lambda: read_checkpoint(tmp_path / "last.ckpt"))


def test_inceptions_weights_are_read_as_a_checkpoint_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The published checksum is known by eight digits, which somebody can hit."""
    path = tmp_path / "weights.pth"
    torch.save({"weight": torch.zeros(1_000_000)}, path)
    _deflated(path)
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    assert f"{path} is not a file of weights" in _refusal(lambda: chosen_features(str(path), (3, 32, 32), 256))


@pytest.mark.parametrize("content", [b"\xff" * 7 + b"\x7f{}", (2**40).to_bytes(8, "little") + b"{}", b"", None])
def test_a_file_of_features_that_lies_about_its_size(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.safetensors"
    if content is None:
        save_file({"classify.bias": torch.zeros(3)}, path)
    else:
        path.write_bytes(content)
    assert f"features={path}" in _refusal(lambda: chosen_features(str(path), (1, 8, 8), 256))


# Run folders


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(ROOT / "tests" / "runs" / "old_run", tmp_path / "run"))


def test_a_config_describes_no_larger_model_than_the_run_has_saved(folder: RunFolder) -> None:
    """Of a size that the machine would give, and the weights then fill."""
    file = folder.path / "config.yaml"
    config = yaml.safe_load(file.read_text())
    config["model"]["width"] = 20_000
    file.write_text(yaml.safe_dump(config))
    for use in (
        lambda: load_run(folder.path),
        lambda: train({"resume": str(folder.path)}, "new", ["trainer.max_steps=50", "trainer.accelerator=cpu"]),
    ):
        told = _refusal(use)
        assert told.startswith(f"the config.yaml of {folder.checkpoints}")
        assert "describes a model much larger than the one that is saved there" in told
    torch.nn.Linear(20_000, 4_000)  # what others build is no longer counted


@pytest.mark.parametrize("name", ["config.yaml", "run.json", "metrics.json"])
@pytest.mark.parametrize("kind", ["endless", "pipe", "large"])
def test_what_never_ends_is_not_read(folder: RunFolder, name: str, kind: str) -> None:
    path = folder.path / name
    path.unlink(missing_ok=True)
    if kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        with path.open("wb") as file:
            file.truncate(2**40)  # takes no room on the disk
    read = {"config.yaml": folder.read_config, "run.json": folder.read_record, "metrics.json": folder.read_metrics}
    told = _refusal(read[name])
    assert str(path) in told
    assert ("it has more than" if kind == "large" else "it is not a file") in told


def test_a_link_of_a_record_is_replaced_and_not_followed(folder: RunFolder, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text('{"alias": 1}')
    for name in ("run.json", "metrics.json", "config.yaml"):
        (folder.path / name).unlink(missing_ok=True)
        (folder.path / name).symlink_to(mine)
    folder.update_record(status="finished")
    folder.add_metrics("val/nll", {"mean": 1.0})
    folder.write_config({"data": {}, "data_dir": "data"})
    assert mine.read_text() == '{"alias": 1}'
    assert read_json(folder.path / "run.json")["status"] == "finished"


@pytest.mark.parametrize(
    "hostile",
    [b'2,0,"' + b"x" * 200_000 + b"\n", b"9" * 5000 + b",0,a,1\n", b"2,0,a\n", b"\0\xff\n", b"2,0,\xff\xfe,x\n"],
    ids=["a quote without end", "a huge step", "few columns", "no text", "no number"],
)
def test_rows_of_a_metrics_csv_that_are_none(tmp_path: Path, hostile: bytes) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"step,epoch,name,value\n1,0,val/nll,2.0\n" + hostile)
    assert read_rows(path) == [(1, 0, "val/nll", 2.0)]


def test_a_metrics_csv_larger_than_any_runs(tmp_path: Path) -> None:
    with (tmp_path / "metrics.csv").open("wb") as file:
        file.truncate(2**40)
    assert f"{tmp_path}/metrics.csv is not a file of at most" in _refusal(lambda: read_metrics(tmp_path))
    (tmp_path / "metrics.csv").unlink()
    CSVMetrics(tmp_path).log_metrics({"val/nll": 1.0}, 3)
    assert len(read_metrics(tmp_path)) == 1


@pytest.mark.parametrize("name", ["wandb", ".wandb"])
def test_wandb_is_not_steered_from_the_folder(folder: RunFolder, name: str) -> None:
    """Its settings may name the server that it sends the user's key to."""
    settings = folder.path / name / "settings"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text("[default]\nbase_url = https://example.org\n")
    assert f"{settings} would steer wandb" in _refusal(lambda: WandbRun(folder.path, "id", {}))


def test_wandbs_other_folder_is_held_inside_too(folder: RunFolder, tmp_path: Path) -> None:
    """wandb writes into .wandb wherever there is one."""
    (tmp_path / "mine").mkdir()
    (folder.path / ".wandb").symlink_to(tmp_path / "mine")
    assert ".wandb is a link to" in _refusal(lambda: folder.keep_inside(*folder.written))


# Pictures

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(marker) (w) file closefile\nshowpage\n"


def test_a_picture_is_in_a_format_that_nothing_is_started_for(tmp_path: Path) -> None:
    path = tmp_path / "step_0000001.png"
    path.write_bytes(POSTSCRIPT)
    assert Image.open(path).format == "EPS"  # what Pillow alone makes of it: it would start Ghostscript
    with pytest.raises(UnidentifiedImageError):
        open_picture(path)
    with pytest.raises(UnidentifiedImageError):
        save_animation([path], tmp_path / "training.gif")


@pytest.mark.parametrize("kind", ["postscript", "bomb"])
def test_files_of_a_set_of_pictures_are_opened_as_strictly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    write_celeba(tmp_path)
    (first, *_) = sorted((tmp_path / "celeba" / "img_align_celeba").iterdir())
    if kind == "postscript":
        first.write_bytes(POSTSCRIPT)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 178 * 218 - (kind == "bomb"))  # twice as many are refused by Pillow
    examples = source_for(Options("celeba", tmp_path)).read("train")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        told = _refusal(lambda: examples[torch.tensor([0])])
    assert f"The picture {first} cannot be read" in told


# Data sets


def _npz(path: Path, **arrays: np.ndarray) -> None:
    np.savez_compressed(path, **arrays)


def test_an_npz_of_compressed_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_imagenet_box(tmp_path, 32)
    path = tmp_path / "imagenet32_box" / "train_data_batch_3.npz"
    monkeypatch.setattr("genmodels.data.sources.imagenet._MOST_IMAGES", 100)
    _npz(path, data=np.zeros((1000, 3072), np.uint8), labels=np.ones(1000, int))
    assert f"{path} (its data.npy has more than 307,200 bytes)" in _refusal(
        _read(tmp_path, "imagenet32_box", variant="box")
    )
    np.savez(path, data=np.array([Touch(tmp_path / "marker")], object), labels=np.ones(1))
    assert "allow_pickle" in _refusal(_read(tmp_path, "imagenet32_box", variant="box"))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("change", ["images", "labels", "classes", "count"])
def test_what_an_npz_was_unpacked_to_may_be_a_strangers(tmp_path: Path, change: str) -> None:
    write_imagenet_box(tmp_path, 32)
    read = _read(tmp_path, "imagenet32_box", variant="box")
    read()
    packed, labels = (tmp_path / "imagenet32_box" / name for name in ("train.bytes", "train.labels.npy"))
    if change == "images":
        packed.write_bytes(b"123")
    elif change == "labels":
        labels.write_bytes(_header((10**15,), "<i8"))
    else:
        np.save(labels, np.full(30 if change == "classes" else 31, 1000 * (change == "classes")))
    told = _refusal(read)
    assert str(labels) in told
    assert "delete both" in told


def _header(shape: tuple[int, ...], kind: str) -> bytes:
    """An .npy that says what it does not hold."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize("content", [_header((10**9, 10**6), "<f8"), b"PK\x03\x04" + bytes(100), b"\x93NUMPY\x01\x00"])
def test_an_array_that_is_not_there(tmp_path: Path, content: bytes) -> None:
    write_power(tmp_path)
    path = tmp_path / "power" / "data.npy"
    path.write_bytes(content)
    assert f"corrupt file, {path}" in _refusal(_read(tmp_path, "power"))


def test_an_array_of_pickled_objects(tmp_path: Path) -> None:
    write_power(tmp_path)
    np.save(tmp_path / "power" / "data.npy", np.array([[Touch(tmp_path / "marker")]], object))
    assert "corrupt file" in _refusal(_read(tmp_path, "power"))
    assert not (tmp_path / "marker").exists()


class Call:
    """Calls `function` when it is unpickled, and then perhaps sets a state."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.reduced


_FORGED = (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)  # an object, flagged as if it were none


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (lambda marker: Touch(marker), "it asks for (posix|nt).system"),
        (lambda _: Call(eval, "1"), "it asks for (__builtin__|builtins).eval"),
        (lambda _: Call(np.load, "x"), "it asks for numpy.load"),
        (lambda _: Call(np.ndarray, (1,), "O", b"A" * 8), "takes no arguments|must be a class"),
        (lambda _: Call(np.dtype, "O,O"), "it asks for arrays of 'O,O'"),
        (lambda _: Call(np.dtype, "V8", state=_FORGED), "it asks for arrays of 'V8'"),
        (lambda _: Call(bytes.join, b"", []), "it asks for"),
    ],
    ids=["system", "eval", "load", "objects at addresses of the file", "structure", "forged", "method"],
)
def test_a_pickle_makes_plain_arrays_and_calls_nothing(tmp_path: Path, hostile: Callable, reason: str) -> None:
    """Neither of arrays nor of a table, in any protocol."""
    path, marker = tmp_path / "file", tmp_path / "marker"
    for protocol in (2, 5):  # of the first names go through Python 2's, of the second over the stack
        path.write_bytes(pickle.dumps({"data": hostile(marker), "labels": [1]}, protocol))
        for read in (read_arrays, lambda file: read_frame(file, pandas)):
            with pytest.raises((pickle.UnpicklingError, TypeError), match=reason):
                read(path)
    assert not marker.exists()


def test_a_state_changes_no_class_and_forges_no_dtype(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(pickle.dumps({"data": Call(np.dtype, "f8", state=_FORGED)}, 2))
    assert read_arrays(path) == {}
    assert np.dtype("f8").fields is None
    change = b"\x80\x02cpandas\nDataFrame\nN}X\x04\x00\x00\x00dropK\x01s\x86b."
    path.write_bytes(change)
    with pytest.raises(pickle.UnpicklingError, match="it changes a class"):
        read_frame(path, pandas)
    assert callable(pandas.DataFrame.drop)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_arrays_and_tables_are_read_as_they_are(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "file"
    arrays = {"data": np.arange(12, dtype=np.uint8).reshape(3, 4), "mean": np.ones(4, ">f4"), "labels": [3, 1, 2]}
    path.write_bytes(pickle.dumps(arrays, protocol))
    for name, found in read_arrays(path).items():
        assert np.array_equal(found, arrays[name]), name
    frame = pandas.DataFrame({"a": [1.5, 2.5], "b": [1, 2], "c": np.float32([3, 4])}, index=[5, 7])
    path.write_bytes(pickle.dumps(frame, protocol))
    assert read_frame(path, pandas).equals(frame)


def test_lists_in_lists_are_no_array(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(pickle.dumps({"labels": _nest(12)}))
    with pytest.raises(ValueError, match="something else than numbers"):
        read_arrays(tmp_path / "file")


def test_a_table_with_an_index_of_any_length(tmp_path: Path) -> None:
    write_gas(tmp_path)
    path = tmp_path / "gas" / "ethylene_CO.pickle"
    path.write_bytes(pickle.dumps(pandas.DataFrame(index=range(10**9)), 4))
    assert "it has an index longer than itself" in _refusal(_read(tmp_path, "gas"))
    path.write_bytes(pickle.dumps(Touch(tmp_path / "marker")))
    assert "it asks for posix.system" in _refusal(_read(tmp_path, "gas"))
    assert not (tmp_path / "marker").exists()


def test_a_table_of_many_columns(tmp_path: Path) -> None:
    write_gas(tmp_path)
    write_hepmass(tmp_path)
    pandas.DataFrame(np.zeros((1, 5000))).to_pickle(tmp_path / "gas" / "ethylene_CO.pickle")
    assert "it has 5,000 columns" in _refusal(_read(tmp_path, "gas"))
    wide = ",".join(map(str, range(5_000))) + "\n" + "1\n" * 1_000
    for text in (wide, f'"a\n",{wide}', wide[: wide.index("\n")]):
        (tmp_path / "hepmass" / "1000_train.csv").write_text(text)
        assert "1000_train.csv (its first line is no header of at most 100" in _refusal(_read(tmp_path, "hepmass"))
    (tmp_path / "hepmass" / "1000_train.csv").write_text(f"\n{wide}")  # pandas would pass over the empty line
    assert "corrupt file" in _refusal(_read(tmp_path, "hepmass"))


@pytest.mark.parametrize("kind", ["zeros", "raw", "link", "soft", "virtual", "text"])
def test_an_hdf5_file_names_no_other_and_holds_what_it_says(tmp_path: Path, kind: str) -> None:
    write_bsds300(tmp_path)
    path, other = tmp_path / "BSDS300" / "BSDS300.hdf5", tmp_path / "secret"
    np.ones((5, 63)).tofile(other)
    with h5py.File(path, "r+") as file:
        del file["validation"]
        if kind == "zeros":
            file.create_dataset("validation", (10**9, 63), "f8")  # no bytes at all
        elif kind == "raw":
            file.create_dataset("validation", (5, 63), "f8", external=[(str(other), 0, 5 * 63 * 8)])
        elif kind == "link":
            file["validation"] = h5py.ExternalLink(str(other), "train")
        elif kind == "soft":
            file["validation"] = h5py.SoftLink("/train")
        elif kind == "virtual":
            layout = h5py.VirtualLayout((5, 63), "f8")
            layout[:] = h5py.VirtualSource(str(other), "train", (5, 63))
            file.create_virtual_dataset("validation", layout)
        else:
            file["validation"] = [b"text"]
    reason = {"zeros": "is float64 [1000000000, 63]", "text": "is object [1]"}.get(kind, "lies in another file")
    assert f"{path} (its validation part {reason})" in _refusal(_read(tmp_path, "bsds300"))


def test_an_archive_says_nothing_about_where_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with tarfile.open(root / tabular.ARCHIVE, "w:gz") as archive:
        for name in ("../../../evil/miniboone/data.npy", f"{tmp_path}/evil/data.npy", "data/miniboone/data.npy"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
            archive.addfile(link)
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
    monkeypatch.setattr(tabular, "ARCHIVE_MD5", md5(root / tabular.ARCHIVE))
    source_for(Options("miniboone", root)).download()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]
    assert sorted(path.relative_to(root).as_posix() for path in root.rglob("*")) == [
        tabular.ARCHIVE,
        "miniboone",
        "miniboone/data.npy",
    ]
    assert not (root / "miniboone" / "data.npy").is_symlink()


# The page


def test_the_page_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "foreign_files.md").read_text()
    named = re.findall(r"`(test_\w+)`", page)
    assert len(named) > 20
    there = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in named if f"def {name}(" not in there] == []
