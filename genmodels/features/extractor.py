"""What every feature extractor is: a fixed network from images to vectors, with all that its figures have to say."""

import hashlib
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn


class FeatureExtractor(nn.Module, ABC):
    """Images uint8 [B, C, H, W] of 256 levels -> features [B, F], floats. A user's own is built without arguments.

    Attributes:
        name: what its figures are called after and say in their protocol.
        num_features: F.
        num_classes: of the logits that it gives beside the features; 0 if it gives none.
        resizing: what becomes of an image of any size before the network, in words.
        comparability: what its figures may be compared with, in words.
        is_kept: whether features of data sets are kept on disk, which is right only where they are a function of the
            weights alone: code that a user edits is not in them.
    """

    name: str
    num_features: int
    num_classes: int = 0
    resizing: str = "none"
    comparability: ClassVar[str] = "only with figures of the same features, not with published ones"
    is_kept: ClassVar[bool] = False

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Shapes: uint8 [B, C, H, W] -> [B, F]."""

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """In one pass, [B, F] and the logits [B, K] of the classes, None where there are none."""
        return self(images), None

    def figure_name(self, base: str) -> str:
        """What the figure of these features is called that is `base` with Inception's, such as "fid"."""
        return f"{base}_{self.name}"

    @property
    def fingerprint(self) -> str:
        """The first 12 hex digits of the sha256 over names, types, shapes and bytes of all parameters and buffers."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:12]
