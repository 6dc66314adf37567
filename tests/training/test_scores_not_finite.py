"""A score that is not finite is told with the example that it belongs to, unless the weights are to blame."""

import warnings
from pathlib import Path

import pytest
import torch
from training_toys import DiagonalGaussian, module, trainer

from genmodels.data.examples import Examples
from genmodels.data.loader import BatchLoader, EpochSampler
from genmodels.errors import UserError
from genmodels.evaluation.metrics.likelihood import log_likelihoods

OUTLIER = 3e30  # its square is more than a float32 holds


def rows() -> torch.Tensor:
    return torch.randn(30, 2, generator=torch.Generator().manual_seed(0))


def test_a_single_row_is_named_and_the_weights_are_not_blamed() -> None:
    x = rows()
    x[17, 1] = OUTLIER
    model = DiagonalGaussian((2,), None)
    model._done()
    with pytest.raises(UserError, match=r"log_prob is -inf for row 17 of the split, whose values are \[.*, 3e\+30\]"):
        log_likelihoods(model, [(x[:12], None), (x[12:], None)])
    x[20] = OUTLIER
    with pytest.raises(UserError, match=r"row 17 of the split and for 1 more among 18, whose"):
        log_likelihoods(model, [(x[:12], None), (x[12:], None)])


def test_weights_that_have_diverged_are_blamed() -> None:
    model = DiagonalGaussian((2,), None)
    model._done()
    model.loc.data[0] = torch.nan
    with pytest.raises(UserError, match=r"the weights have diverged \(loc is not finite\)"):
        log_likelihoods(model, [(rows(), None)])
    model.loc.data[0] = OUTLIER
    with pytest.raises(UserError, match=r"not finite for any of the 30 examples .* weights have diverged"):
        log_likelihoods(model, [(rows(), None)])


@pytest.mark.parametrize(
    ("outliers", "told"),
    [
        ([17], "row 17 of the validation part, whose values are"),
        ([13, 17], "row 13 of the validation part and 1 more of its batch"),
        (list(range(12, 24)), "for all of the 12 examples of batch 1 alone"),
    ],
)
def test_validation_tells_once(tmp_path: Path, outliers: list[int], told: str) -> None:
    x = rows()
    bad = x.clone()
    bad[outliers, 1] = OUTLIER
    train, validation = (
        BatchLoader(Examples(data), EpochSampler(30, 12, shuffle=shuffle))
        for data, shuffle in ((x, True), (bad, False))
    )
    fitted = trainer(tmp_path, [], max_epochs=3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted.fit(module(DiagonalGaussian((2,), None)), train, validation)
    found = [str(warning.message) for warning in caught if "not finite" in str(warning.message)]
    assert len(found) == 1
    assert found[0].startswith("val/nll of step ")
    assert told in found[0]
