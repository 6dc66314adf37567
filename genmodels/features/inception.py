"""Inception's features, those of published FID, KID and Inception Scores."""

import hashlib
import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.features.extractor import FeatureExtractor
from genmodels.weights_file import load_weights

SHA256 = "6726825d"  # how the file's begins
_FILES = (f"pt_inception-2015-12-05-{SHA256}.pth", f"weights-inception-2015-12-05-{SHA256}.pth")  # one file, two names
_SIDE = 299
PACKAGE = "torch_fidelity"


class InceptionFeatures(FeatureExtractor):
    """The 2048 features after the last pooling of TensorFlow's Inception of 2015-12-05, and its 1008 unbiased logits.

    Network and resizing (TensorFlow 1's bilinear to 299 x 299, no antialiasing, corners not aligned) are
    torch-fidelity's, whose figures agree with those of Heusel et al. 2017 and Salimans et al. 2016 to rounding. Grey
    images are shown three times.

    Args:
        weights: the file's state dict.
    Raises:
        UserError: torch-fidelity is not installed, or the weights are not this network's.
    """

    name = "inception"
    num_features = 2048
    num_classes = 1008
    resizing = f"TF1 bilinear to {_SIDE}x{_SIDE}"
    comparability = "with published figures of the same numbers of samples and images, and the same reference images"
    is_kept = True

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        if not is_installed():
            raise UserError("features=inception needs torch-fidelity: pip install 'genmodels[fid]'")
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        # The package would unpickle a user's file as code; what it gets are our own bytes of plain tensors.
        plain = io.BytesIO()
        torch.save(dict(weights), plain)
        plain.seek(0)
        try:
            self.network = FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=plain
            )
        except RuntimeError as error:
            raise UserError("features=inception: the weights are not those of TensorFlow's Inception") from error

    @classmethod
    def from_file(cls, path: Path) -> "InceptionFeatures":
        """With the weights in the published file.

        Raises:
            UserError: the file is missing or is another one, or as the class.
        """
        return cls(read_weights(path))

    def figure_name(self, base: str) -> str:
        return base

    def forward(self, images: Tensor) -> Tensor:
        return self.features_and_logits(images)[0]

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self.network(images.expand(-1, 3, -1, -1))
        return features, logits


def is_installed() -> bool:
    """Whether the package is there that has the network."""
    return importlib.util.find_spec(PACKAGE) is not None


def found_weights() -> Path | None:
    """The published file where torch.hub keeps what it has downloaded, None if it is not there."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    return next((folder / name for name in _FILES if (folder / name).is_file()), None)


def expected_weights() -> Path:
    """Where the published file belongs."""
    return Path(torch.hub.get_dir()) / "checkpoints" / _FILES[0]


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in the published file; no code in it is run.

    Raises:
        UserError: the file is missing, or its sha256 is not the published one.
    """
    try:
        digest = _sha256(path)
    except OSError as error:
        raise UserError(
            f"features=inception needs Inception's weights, which are not at {path}: put {_FILES[0]}, a file of the "
            f"release fid_weights of github.com/mseitzer/pytorch-fid, there, or choose features=small"
        ) from error
    if not digest.startswith(SHA256):
        raise UserError(
            f"features={path} is not the published file of Inception's weights: its sha256 begins with {digest[:8]}, "
            f"not {SHA256}; delete it and get {_FILES[0]} again"
        )
    try:
        return load_weights(path)
    except ValueError as error:
        raise UserError(f"features={path} is not a file of weights: get {_FILES[0]} again") from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
