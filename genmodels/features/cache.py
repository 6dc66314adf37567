"""Features of data sets, kept on disk: every run that is measured against the same images needs the same ones.

In the user's cache folder, $XDG_CACHE_HOME/genmodels/features or ~/.cache/genmodels/features, from where they may be
deleted at any time. A file is found by the images themselves, not by the name of their set: a folder of pictures that
has changed has other features.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from genmodels.errors import UserError
from genmodels.features.extraction import extracted
from genmodels.features.extractor import FeatureExtractor
from genmodels.files import cache_folder, replacing


def features_of_data(
    extractor: FeatureExtractor,
    batches: Callable[[], Iterable[Tensor]],
    levels: int | None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """The features of all examples, [N, F] on the CPU; from the cache if they are there, else put there if it can be.

    Args:
        extractor: on `device`.
        batches: gives the examples, the same in each call.
        levels: of a pixel, None for vectors.

    Raises:
        UserError: there are no examples.
    """
    file = cache_folder("features") / f"{_key(extractor, batches(), levels)}.safetensors" if extractor.is_kept else None
    kept = None if file is None else _read(file)
    if kept is not None:
        return kept
    features = [extracted(extractor, x.to(device), levels)[0].cpu() for x in batches()]
    if not features:
        raise UserError("there is nothing to measure: the split is empty")
    result = torch.cat(features)
    if file is not None:
        _write(file, result)
    return result


def _key(extractor: FeatureExtractor, batches: Iterable[Tensor], levels: int | None) -> str:
    digest = hashlib.sha256()
    count, shape = 0, torch.Size()
    for x in batches:
        count, shape = count + len(x), x.shape[1:]
        digest.update(_bytes(x))
    digest.update(f"{count} {list(shape)} {levels} {extractor.fingerprint} {extractor.resizing}".encode())
    return f"{extractor.name}_{digest.hexdigest()[:32]}"


def _read(file: Path) -> Tensor | None:
    """What was kept, None if nothing was or it is damaged."""
    try:
        with safe_open(file, "pt") as content:
            features = content.get_tensor("features")
            intact = content.metadata()["sha256"] == _digest(features)
    except (OSError, SafetensorError, KeyError, TypeError):
        return None
    return features if intact else None


def _write(file: Path, features: Tensor) -> None:
    with contextlib.suppress(OSError, UserError), replacing(file) as out:  # read-only or full: the next run pays again
        out.write(save({"features": features.contiguous()}, {"sha256": _digest(features)}))


def _digest(features: Tensor) -> str:
    return hashlib.sha256(_bytes(features)).hexdigest()


def _bytes(x: Tensor) -> bytes:
    return x.detach().cpu().contiguous().numpy().tobytes()
