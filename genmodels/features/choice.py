"""Which features a user means."""

from collections.abc import Sequence
from pathlib import Path

from genmodels import plugins
from genmodels.errors import UserError
from genmodels.features.extractor import FeatureExtractor
from genmodels.features.inception import InceptionFeatures, expected_weights, found_weights, is_installed
from genmodels.features.small import SmallFeatures
from genmodels.features.vectors import Vectors
from genmodels.pictures import is_image


def chosen_features(features: str, shape: Sequence[int], levels: int | None) -> FeatureExtractor:
    """The extractor that `features` means for data of this shape, in evaluation mode, on the CPU.

    Args:
        features: "auto", "small", "inception", the .safetensors of a `SmallFeatures`, the .pth of Inception's weights,
            or the `FeatureExtractor` of a user's own package, "my_package.Net". "auto" is the vector itself for
            vectors; for images Inception where it is installed and its weights are found, else small.
        shape: of one example.
        levels: of a pixel, None for vectors.

    Raises:
        UserError: there is nothing of that name, it is not for such data, or a file of it is missing or wrong.
    """
    extractor = _extractor(features, shape, levels)
    return extractor.eval().requires_grad_(False)


def _extractor(features: str, shape: Sequence[int], levels: int | None) -> FeatureExtractor:
    suffix = Path(features).suffix
    if "." in features and suffix not in (".safetensors", ".pth"):
        return _users_own(features)
    if levels is None:
        if features != "auto":
            raise UserError(f"features={features} is for images, and the data is vectors: choose features=auto")
        return Vectors(shape[0])
    if not is_image(shape):
        raise UserError(f"features={features} is for images of 1 or 3 channels, and these are {list(shape)}")
    if suffix == ".safetensors":
        return SmallFeatures.from_file(Path(features), shape[0])
    if suffix == ".pth":
        return InceptionFeatures.from_file(Path(features))
    weights = found_weights()
    if features == "inception":
        return InceptionFeatures.from_file(weights or expected_weights())
    if features == "auto" and weights is not None and is_installed():
        return InceptionFeatures.from_file(weights)
    if features in ("auto", "small"):
        return SmallFeatures.pretrained(shape[0])
    raise UserError(
        f"features={features} does not exist: choose auto, small, inception, a .safetensors of SmallFeatures, the .pth "
        "of Inception's weights, or a FeatureExtractor of your own such as my_package.Net"
    )


def _users_own(name: str) -> FeatureExtractor:
    found = plugins.resolve(name, FeatureExtractor, "features")
    try:
        extractor = found()
    except Exception as error:  # whatever a user's class does
        raise UserError(f"features={name} cannot be built: {plugins.in_one_line(error)}") from error
    for attribute, kind in (("name", str), ("num_features", int)):
        if not isinstance(getattr(extractor, attribute, None), kind):
            raise UserError(f"features={name} does not set {attribute}, which has to be of type {kind.__name__}")
    return extractor
