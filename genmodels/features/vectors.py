"""The features of data that needs none."""

from torch import Tensor

from genmodels.features.extractor import FeatureExtractor


class Vectors(FeatureExtractor):
    """Vectors [B, D] as they are, in the data's own units.

    Args:
        num_features: D.
    """

    name = "vectors"
    comparability = "with figures of the same data in the same units"

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def figure_name(self, base: str) -> str:
        return super().figure_name("frechet" if base == "fid" else base)  # nothing of Inception's about it

    def forward(self, images: Tensor) -> Tensor:
        return images
