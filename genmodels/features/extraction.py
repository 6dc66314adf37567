"""From a batch of data to features."""

import torch
from torch import Tensor

from genmodels.features.extractor import FeatureExtractor
from genmodels.pictures import as_bytes


@torch.no_grad()
def extracted(extractor: FeatureExtractor, x: Tensor, levels: int | None) -> tuple[Tensor, Tensor | None]:
    """Features [B, F] and logits [B, K], None where there are none, in full precision also inside autocast.

    Args:
        x: images of values 0 .. levels - 1, which the extractor sees as 256 levels; or vectors, with `levels` None.
    """
    with torch.autocast(x.device.type, enabled=False):
        return extractor.features_and_logits(x if levels is None else as_bytes(x, levels))
