"""What conf/data/*.yaml declares is what the readers yield."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from tiny_files import write_everything

from genmodels.config.compose import CONFIG_DIR
from genmodels.data import DataModule
from genmodels.data.sources import SOURCES
from genmodels.data.sources.toy2d import DENSITIES
from genmodels.distributions.energies import ENERGIES

FILES = sorted((CONFIG_DIR / "data").glob("*.yaml"))
CASES = [
    *((file.stem, {}) for file in FILES),
    ("mnist", {"size": 32}),
    ("binarized_mnist_static", {"size": 32}),
    ("celeba", {"size": 32}),
    ("imagenet32", {"variant": "box", "num_classes": 1000}),
    ("imagenet64", {"variant": "box"}),
    ("image_folder", {"channels": 1, "size": 16, "num_classes": 2}),
    ("image_folder", {"size": [24, 40]}),
    *(("toy2d", {"name": name}) for name in DENSITIES),
    *(("energy2d", {"name": name}) for name in ENERGIES),
]
HELD_OUT_OF_TINY_FILES = 5


pytestmark = pytest.mark.usefixtures("empty_caches")  # of pictures that were looked at


def arguments(file: str, root: Path, changes: dict) -> dict:
    """The node as the front doors hand it on: composed and resolved."""
    node = OmegaConf.load(FILES[0].with_name(f"{file}.yaml"))
    if isinstance(node.validation, int) and node.validation > 250:
        changes = {"validation": HELD_OUT_OF_TINY_FILES, **changes}
    if file == "image_folder":
        changes = {"root": str(root / "pictures"), **changes}
    config = OmegaConf.create({"data": node, "data_dir": str(root), "seed": 0})
    config.data.update({"batch_size": 3, "num_workers": 0, **changes})
    values = OmegaConf.to_container(config.data, resolve=True)
    assert values.pop("_target_") == "genmodels.data.DataModule"
    return values


@pytest.fixture
def tiny_root(tmp_path, monkeypatch):
    write_everything(tmp_path, monkeypatch)
    return tmp_path


def test_every_batch_is_as_declared(tiny_root):
    for file, changes in CASES:
        values = arguments(file, tiny_root, changes)
        data = DataModule(**values)
        assert data.name == values["name"]
        for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
            x, y = next(iter(loader))
            assert list(x.shape[1:]) == values["shape"], file
            assert x.dtype == (torch.float32 if values["levels"] is None else torch.uint8), file
            if values["levels"] is not None:
                assert int(x.max()) < values["levels"], file
            if values["num_classes"] is None:
                assert y is None, file
            else:
                assert y.dtype == torch.int64, file
                assert 0 <= int(y.min()) <= int(y.max()) < values["num_classes"], file


def test_every_source_has_a_config_and_the_config_its_header():
    names = {file.stem for file in FILES} - {"toy2d", "energy2d", "imagenet32", "imagenet64"}
    generated = set(DENSITIES) | set(ENERGIES)
    assert names | generated | {f"imagenet{n}_{v}" for n in (32, 64) for v in ("old", "box")} == set(SOURCES)
    for file in FILES:
        assert file.read_text().startswith("# "), file


def test_the_two_imagenets_have_different_names(tiny_root):
    old, box = (DataModule(**arguments("imagenet32", tiny_root, {"variant": variant})) for variant in ("old", "box"))
    assert (old.name, box.name) == ("imagenet32_old", "imagenet32_box")
