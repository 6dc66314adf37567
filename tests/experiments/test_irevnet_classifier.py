"""The classifier inverts what it is given, and learns."""

import json
import runpy
from pathlib import Path

import torch
from torch import nn

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "experiments" / "irevnet_classifier.py"))


def test_images_come_back_from_the_last_layer_alone() -> None:
    torch.manual_seed(0)
    model = SCRIPT["IRevNetClassifier"](1, 10, SCRIPT["SETTINGS"]["digits"]).eval()
    x = torch.rand(5, 1, 8, 8) * 2 - 1
    z, back = SCRIPT["inverted"](model, x)
    assert float((z - x).abs().max()) > 0.01
    torch.testing.assert_close(back, x, rtol=0, atol=1e-5)


def test_the_projection_is_all_that_stands_behind_it() -> None:
    """relu(BN(h)) averaged over positions, 2x2 of them, then linear."""
    torch.manual_seed(0)
    model = SCRIPT["IRevNetClassifier"](1, 3, SCRIPT["Setting"]((1, 1), (2, 1), 4, 1)).eval()
    nn.init.normal_(model.norm.running_mean)
    nn.init.uniform_(model.norm.weight, 0.5, 2.0)
    x = torch.rand(2, 1, 8, 8)
    h = model.body(x)[0]
    h = torch.cat([h[:, :, row::2, column::2] for row in (0, 1) for column in (0, 1)], dim=1)
    h = nn.functional.pixel_unshuffle(h, 2)
    assert h.shape == (2, 16, 2, 2)
    gain = model.norm.weight / torch.sqrt(model.norm.running_var + 1e-5)
    h = torch.relu((h - model.norm.running_mean.view(-1, 1, 1)) * gain.view(-1, 1, 1)).sum(dim=(2, 3)) / 4
    torch.testing.assert_close(model(x), h @ model.linear.weight.T + model.linear.bias)


def test_two_epochs_on_digits(tmp_path: Path) -> None:
    found = SCRIPT["main"](tmp_path, epochs=2)
    assert found["test accuracy"] > 0.8
    assert found["largest error of the inverse"] < 1e-4
    assert json.loads((tmp_path / "irevnet_classifier.json").read_text())["test accuracy"] == found["test accuracy"]
    assert (tmp_path / "irevnet_classifier.png").stat().st_size > 10_000
