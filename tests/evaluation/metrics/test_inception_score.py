"""The Inception Score of known posteriors."""

import pytest
import torch
from drawing_toys import Logits, Replays, asked
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.metrics import InceptionScore
from genmodels.objectives import NegativeLogLikelihood


def rows(logits: Tensor) -> Tensor:
    """Images whose logits these are, [N, 1, 1, 4]."""
    return logits[:, None, None].to(torch.uint8)


def measured(logits: Tensor, **more: object) -> tuple[float, float, float]:
    x = rows(logits)
    trained = asked(Replays(x, levels=256), x, num_samples=len(x), features=Logits(), **more)
    figure = InceptionScore().measure(trained)
    assert figure.name == "inception_score_logits"
    deviation, _ = figure.parts["deviation of the splits"]
    return figure.mean, figure.standard_error or 0.0, deviation


def test_certain_of_four_classes_in_turn() -> None:
    """In splits of 400 of a random order each class has about a quarter: nearly 4."""
    logits = torch.eye(4).repeat(1000, 1) * 200
    score, error, deviation = measured(logits)
    assert score == pytest.approx(4, abs=0.03)
    assert error == pytest.approx(deviation / 10**0.5)


def test_one_class_only_or_no_idea_is_one() -> None:
    assert measured(torch.eye(4)[:1].repeat(40, 1) * 200)[:2] == pytest.approx((1, 0))
    assert measured(torch.zeros(40, 4))[:2] == pytest.approx((1, 0))


def test_by_hand() -> None:
    """Two kinds of samples, p = (e^2, 1, 1, 1) / (e^2 + 3) and its mirror image, half each, in splits of many."""
    logits = torch.tensor([[2.0, 0, 0, 0], [0, 0, 0, 2.0]]).repeat(5000, 1)
    p = logits[0].softmax(0)
    average = (p + p.flip(0)) / 2
    expected = float((p * (p / average).log()).sum().exp())
    score, error, _ = measured(logits, batch_size=1000)
    assert score == pytest.approx(expected, abs=max(4 * error, 1e-3))
    assert expected > 1.1


def test_the_order_of_samples_makes_no_matter() -> None:
    """Sorted by class, splits of the given order would hold one class each and score 1."""
    assert measured((torch.eye(4) * 200).repeat_interleave(500, dim=0))[0] == pytest.approx(4, abs=0.05)


def test_what_it_needs() -> None:
    x = torch.randn(40, 3)
    assert not InceptionScore().applies(Replays(x), NegativeLogLikelihood())
    images = rows(torch.zeros(19, 4))
    with pytest.raises(UserError, match="num_samples=20 at least"):
        InceptionScore().check(asked(Replays(images, levels=256), images, num_samples=19, features=Logits()))
    without = Logits()
    without.num_classes = 0
    with pytest.raises(UserError, match="needs features with classes"):
        InceptionScore().check(asked(Replays(images, levels=256), images, num_samples=19, features=without))
