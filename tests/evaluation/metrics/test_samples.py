"""What all figures of samples share: how samples are drawn, which data they meet, what the figure says of it."""

import pytest
import torch
from drawing_toys import Noise, Replays, asked

from genmodels.errors import UserError
from genmodels.evaluation.metrics import FID, KID
from genmodels.features import Vectors


def points(n: int, seed: int = 0, features: int = 3) -> torch.Tensor:
    return torch.randn(n, features, generator=torch.Generator().manual_seed(seed))


def test_as_many_samples_as_asked_for_and_every_class_in_turn() -> None:
    model = Replays(points(25), num_classes=4)
    trained = asked(model, points(10), num_samples=25, batch_size=7)
    drawn = trained.feature_sets.drawn
    assert torch.equal(drawn.features, model.x)
    assert torch.equal(drawn.first, model.x[:20])
    assert model.labels == [i % 4 for i in range(25)]


def test_a_model_without_classes_is_given_none() -> None:
    model = Replays(points(5))
    list(asked(model, points(10), num_samples=5).of_samples(torch.clone))
    assert model.labels == []


def test_samples_are_a_function_of_the_seed_and_leave_the_callers_state() -> None:
    model = Noise(points(1))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    drawing = asked(model, points(10), num_samples=30, batch_size=8).of_samples(torch.clone)
    next(drawing)
    assert torch.equal(torch.rand(3), expected)
    next(drawing)
    assert torch.is_grad_enabled()
    torch.manual_seed(5)
    one, same, other = (
        torch.cat(list(asked(model, points(10), num_samples=30, batch_size=8, seed=seed).of_samples(torch.clone)))
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert len(one.unique(dim=0)) == 30  # each batch has noise of its own


def test_two_metrics_draw_once() -> None:
    model = Replays(points(100))
    trained = asked(model, points(50, seed=1), num_samples=40)
    FID().measure(trained)
    KID().measure(trained)
    assert model.position == 40


def test_the_protocol_says_all_that_two_figures_must_share() -> None:
    trained = asked(Replays(points(40)), points(50, seed=1), num_samples=40, max_examples=30)
    figure = FID().measure(trained)
    assert figure.name == "frechet_vectors"
    assert (figure.num_examples, figure.counted, figure.direction) == (40, "samples", "lower")
    assert figure.protocol == {
        "num_samples": 40,
        "num_real": 30,
        "real": "test",
        "features": "vectors",
        "features_sha256": Vectors(3).fingerprint,
        "resizing": "none",
        "comparable": "with figures of the same data in the same units",
    }


@pytest.mark.usefixtures("empty_caches")
def test_small_features_never_pass_for_published_ones() -> None:
    x = torch.randint(256, (60, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    figure = FID().measure(asked(Replays(x[:30], levels=256), x[30:], num_samples=30, features="small"))
    assert figure.name == "fid_small"
    assert "not with published ones" in figure.protocol["comparable"]
    assert figure.protocol["resizing"] == "bilinear with antialiasing to 32x32"


def test_the_training_split_is_met_whole_and_in_its_own_order() -> None:
    trained = asked(Replays(points(40)), points(7), training=points(50, seed=1), split="train", num_samples=40)
    assert torch.equal(trained.feature_sets.real, points(50, seed=1))


def test_diverged_samples_are_told() -> None:
    x = points(20)
    x[3, 1] = torch.nan
    with pytest.raises(UserError, match="1 of 20 samples or their features are not finite"):
        FID().measure(asked(Replays(x), points(50), num_samples=20))


def test_features_that_cannot_be_had_are_told_before_anything_is_drawn() -> None:
    model = Replays(points(20))
    with pytest.raises(UserError, match="features=small is for images"):
        FID().check(asked(model, points(50), num_samples=20, features="small"))
    assert model.position == 0
