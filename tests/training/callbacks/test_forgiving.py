"""A picture that cannot be drawn does not end a training."""

import errno
import warnings
from pathlib import Path
from typing import Any

import pytest
from training_toys import DiagonalGaussian, digits, module, standard_callbacks, trainer

from genmodels.errors import Interrupted, UserError
from genmodels.training import Curves, Samples
from genmodels.training.callbacks.forgiving import Forgiving
from genmodels.training.csv_logger import read_series
from genmodels.training.run_logger import RunLogger


def test_an_error_is_told_once() -> None:
    forgiving = Forgiving("the picture")
    told = r"^the picture could not be drawn \(KeyError: 'a'\); the training goes on\.$"
    with pytest.warns(UserWarning, match=told), forgiving:
        raise KeyError("a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with forgiving:
            raise RuntimeError("b")


@pytest.mark.parametrize("error", [UserError("full"), Interrupted("stop"), KeyboardInterrupt()])
def test_what_ends_a_run_still_does(error: BaseException) -> None:
    with pytest.raises(type(error)), Forgiving("the picture"):
        raise error


class Undrawable(DiagonalGaussian):
    def sample(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("singular")


def test_a_model_that_cannot_be_sampled_trains_on(tmp_path: Path) -> None:
    fitted = trainer(tmp_path, [Samples(), *standard_callbacks()], max_epochs=2)
    with pytest.warns(UserWarning, match="samples could not be drawn") as told:
        fitted.fit(module(Undrawable((1, 8, 8), 17)), datamodule=digits())
    assert len([w for w in told if "could not be drawn" in str(w.message)]) == 1
    assert read_series(tmp_path / "metrics.csv")["val/bits_per_dim"][0] == [4, 8]


def test_unreadable_curves_and_a_logger_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder lies where curves.png should, and one logger cannot show pictures."""

    class Refuses(RunLogger):
        def log_metrics(self, metrics: Any, step: int | None = None) -> None:
            pass

        def log_picture(self, name: str, path: Path, step: int) -> None:
            raise OSError(errno.EIO, "no connection")

    (tmp_path / "curves.png").mkdir(parents=True)
    fitted = trainer(tmp_path, [Samples(n=4), Curves(every_seconds=0), *standard_callbacks()], max_epochs=2)
    fitted.loggers = [*fitted.loggers, Refuses()]
    with pytest.warns(UserWarning, match="the training goes on") as told:
        fitted.fit(module(DiagonalGaussian((1, 8, 8), 17)), datamodule=digits())
    messages = [str(w.message) for w in told if "the training goes on" in str(w.message)]
    assert sorted(message.split()[0] for message in messages) == ["curves.png", "samples"]
    assert fitted.global_step == 8
    assert len(list((tmp_path / "samples").iterdir())) == 2
