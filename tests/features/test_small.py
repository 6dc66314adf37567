"""The small networks of our own: what they weigh, what they see, what they refuse."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from genmodels.data import Options
from genmodels.data.sources import source_for
from genmodels.errors import UserError
from genmodels.features import SmallFeatures


def images(n: int, channels: int, side: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (n, channels, side, side), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(("channels", "classes"), [(1, 20), (3, 10)])
def test_shapes_and_sizes(channels: int, classes: int) -> None:
    network = SmallFeatures.pretrained(channels)
    features, logits = network.features_and_logits(images(5, channels, 12))
    assert features.shape == (5, 64) == (5, network.num_features)
    assert logits.shape == (5, classes) == (5, network.num_classes)
    assert sum(p.numel() for p in network.parameters()) < 60_000
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    one_by_one = torch.cat([network(x[None]) for x in images(5, channels, 12)])
    torch.testing.assert_close(one_by_one, features)


def test_the_fingerprint_is_a_function_of_the_weights() -> None:
    one, other = SmallFeatures.pretrained(1), SmallFeatures.pretrained(1)
    assert one.fingerprint == other.fingerprint != SmallFeatures.pretrained(3).fingerprint
    assert len(one.fingerprint) == 12
    # New weights are new features, whose figures compare with none of before: never by accident.
    assert (one.fingerprint, SmallFeatures.pretrained(3).fingerprint) == ("27454e4a17f4", "eeaa593bc283")
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1e-3
    assert one.fingerprint != other.fingerprint


def test_an_enlarged_image_has_about_the_features_of_the_image() -> None:
    network = SmallFeatures.pretrained(3)
    x = F.interpolate(images(8, 3, 4).float(), (32, 32), mode="bicubic").clamp(0, 255).to(torch.uint8)
    large = x.repeat_interleave(3, dim=2).repeat_interleave(3, dim=3)
    between = (network(x) - network(x.roll(1, dims=0))).norm(dim=1)
    assert (network(large) - network(x)).norm(dim=1).max() < 0.2 * between.mean()
    stripes = x.clone().repeat_interleave(3, dim=2).repeat_interleave(3, dim=3)
    stripes[:, :, :, ::3] = 255 - stripes[:, :, :, ::3]
    # Of which picking the middle one of every three pixels would see nothing.
    assert (network(stripes) - network(x)).norm(dim=1).min() > 0.2 * between.mean()


def test_a_file_of_a_users_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    mine = SmallFeatures(3, 7).eval()
    save_file(mine.state_dict(), tmp_path / "mine.safetensors")
    read = SmallFeatures.from_file(tmp_path / "mine.safetensors", 3)
    assert (read.name, read.num_classes, read.fingerprint) == ("small_mine", 7, mine.fingerprint)
    with pytest.raises(UserError, match=r"does not hold a SmallFeatures for images of 1 channels"):
        SmallFeatures.from_file(tmp_path / "mine.safetensors", 1)
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"bad\.safetensors cannot be read"):
        SmallFeatures.from_file(tmp_path / "bad.safetensors", 1)
    with pytest.raises(UserError, match=r"absent\.safetensors cannot be read"):
        SmallFeatures.from_file(tmp_path / "absent.safetensors", 1)
    with pytest.raises(UserError, match="1 or 3 channels, and these have 2"):
        SmallFeatures.pretrained(2)


@pytest.mark.parametrize(
    ("data", "first", "least"), [("mnist", 0, 0.97), ("fashion_mnist", 10, 0.87), ("cifar10", 0, 0.73)]
)
def test_accuracy_on_real_test_images(data: str, first: int, least: float, real_data: Path) -> None:
    x, y = source_for(Options(data, real_data)).read("test")[torch.arange(2000)]
    assert y is not None
    network = SmallFeatures.pretrained(x.shape[1])
    with torch.no_grad():
        found = network.features_and_logits(x)[1].argmax(dim=1)
    assert (found == y + first).double().mean() > least
