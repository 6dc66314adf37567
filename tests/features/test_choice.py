"""Which features are meant, and what is said where they cannot be had."""

import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from genmodels import plugins
from genmodels.errors import UserError
from genmodels.features import InceptionFeatures, SmallFeatures, Vectors, chosen_features, inception

GREY, COLOUR = (1, 8, 8), (3, 32, 32)

MINE = """
import torch
from genmodels.features import FeatureExtractor

class Means(FeatureExtractor):
    name, num_features = "means", 1
    def forward(self, images):
        return images.float().mean(dim=(1, 2, 3))[:, None]

class Nameless(FeatureExtractor):
    num_features = 1
    def forward(self, images):
        return images

class Broken(Means):
    def __init__(self):
        raise RuntimeError("no GPU")

class Network(torch.nn.Module):
    pass
"""


@pytest.fixture
def hub(empty_caches: Path) -> Path:
    """Torch hub's folder of checkpoints, empty."""
    folder = empty_caches / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_features.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    plugins.allow(["my_features"])
    yield
    plugins._allowed.pop("my_features")
    sys.modules.pop("my_features")


def test_auto_and_small(hub: Path) -> None:
    assert isinstance(chosen_features("auto", (2,), None), Vectors)
    for features in ("auto", "small"):
        for shape in (GREY, COLOUR):
            chosen = chosen_features(features, shape, 17)
            assert isinstance(chosen, SmallFeatures)
            assert chosen.channels == shape[0]
    assert chosen_features("small", GREY, 2).figure_name("fid") == "fid_small"
    assert chosen_features("auto", (2,), None).figure_name("fid") == "frechet_vectors"
    assert chosen_features("auto", (2,), None).figure_name("kid") == "kid_vectors"


@pytest.mark.parametrize(
    ("features", "shape", "levels", "sentence"),
    [
        ("small", (2,), None, "features=small is for images, and the data is vectors: choose features=auto"),
        ("auto", (2, 8, 8), 256, "for images of 1 or 3 channels, and these are [2, 8, 8]"),
        ("smal", GREY, 256, "features=smal does not exist: choose auto, small, inception, a .safetensors"),
        ("my_other.Net", GREY, 256, "features=my_other.Net is not allowed: if you trust the package my_other, add"),
        ("absent.safetensors", GREY, 256, "features=absent.safetensors cannot be read"),
        ("absent.pth", GREY, 256, "features=inception needs Inception's weights, which are not at absent.pth"),
    ],
)
def test_sentences(features: str, shape: tuple[int, ...], levels: int | None, sentence: str) -> None:
    with pytest.raises(UserError) as told:
        chosen_features(features, shape, levels)
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)


def test_a_users_own(mine: None) -> None:
    chosen = chosen_features("my_features.Means", GREY, 256)
    assert chosen.figure_name("fid") == "fid_means"
    assert not chosen.is_kept
    assert not chosen.training
    for name, sentence in (
        ("Nameless", "does not set name"),
        ("Broken", "cannot be built: RuntimeError: no GPU"),
        ("Network", "is no genmodels.features.FeatureExtractor"),
    ):
        with pytest.raises(UserError, match=sentence):
            chosen_features(f"my_features.{name}", GREY, 256)


def test_inception_without_weights_says_where_they_belong(hub: Path) -> None:
    with pytest.raises(UserError) as told:
        chosen_features("inception", COLOUR, 256)
    sentence = str(told.value)
    assert str(hub / "pt_inception-2015-12-05-6726825d.pth") in sentence
    assert "choose features=small" in sentence
    assert "\n" not in sentence


def test_another_file_under_inceptions_name(hub: Path) -> None:
    file = hub / "pt_inception-2015-12-05-6726825d.pth"
    torch.save({"weight": torch.zeros(3)}, file)
    with pytest.raises(UserError, match="is not the published file of Inception's weights: its sha256 begins with"):
        chosen_features("inception", COLOUR, 256)
    if inception.is_installed():
        with pytest.raises(UserError, match="its sha256 begins with"):
            chosen_features("auto", COLOUR, 256)


class Runs:
    """Says so when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code of a file has run')",)


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights.pth"
    torch.save({"weight": Runs()}, file)
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest()[:8])
    with pytest.raises(UserError, match="is not a file of weights"):
        chosen_features(str(file), COLOUR, 256)


def random_inception() -> dict[str, torch.Tensor]:
    """Weights of the architecture, as torch draws them."""
    torch_fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")

    class Untrained(torch_fidelity.FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict: object, *_: object) -> None:
            pass

    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    torch.manual_seed(0)
    network = Untrained("untrained", ["2048"], feature_extractor_weights_path=empty)
    return network.state_dict()


def test_inceptions_architecture(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = random_inception()
    file = hub / "pt_inception-2015-12-05-6726825d.pth"
    torch.save(weights, file)
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest()[:8])
    chosen = chosen_features("auto", GREY, 256)
    assert isinstance(chosen, InceptionFeatures)
    assert chosen.figure_name("fid") == "fid"
    grey = torch.randint(256, (2, *GREY), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.no_grad():
        features, logits = chosen.features_and_logits(grey)
        coloured = chosen(grey.repeat(1, 3, 1, 1))
    assert features.shape == (2, 2048)
    assert logits.shape == (2, 1008)
    torch.testing.assert_close(features, coloured)
    torch.testing.assert_close(logits, features @ weights["fc.weight"].T)
    assert sum(p.numel() for p in chosen.parameters()) == sum(p.numel() for n, p in weights.items() if _counts(n))
    with pytest.raises(UserError, match="are not those of TensorFlow's Inception"):
        InceptionFeatures({"weight": torch.zeros(3)})


def _counts(name: str) -> bool:
    return not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
