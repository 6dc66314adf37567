"""A user's own class that does not do what its base says: a sentence, and no run."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Done, run_program

from genmodels import plugins

PACKAGE = """
import torch
from torch import nn
from genmodels.data import Examples, Source
from genmodels.evaluation.metrics import Metric
from genmodels.models import Model
from genmodels.objectives import NegativeLogLikelihood, Selection


class Gaussian(Model):
    exact = True

    def __init__(self, shape, levels):
        super().__init__()
        self.shape, self.levels = tuple(shape), levels
        self.loc = nn.Parameter(torch.zeros(self.shape))

    def log_prob(self, x, y=None):
        return torch.distributions.Normal(self.loc, 1.0).log_prob(x).sum(1)


class Fails(Gaussian):
    def __init__(self, shape, levels):
        {}["width"]


class Untrained(Gaussian):
    def log_prob(self, x, y=None):
        return super().log_prob(x).detach()


class Word(NegativeLogLikelihood):
    def selection(self, model):
        return "nll"


class Upwards(NegativeLogLikelihood):
    def selection(self, model):
        return Selection("nll", "up")


class LossAlone(NegativeLogLikelihood):
    def __call__(self, model, x, y):
        return super().__call__(model, x, y)[0]


class Points(Source):
    title = "points"
    levels = None

    def read(self, part):
        return Examples(torch.arange(800.0).view(400, 2) / 800, torch.zeros(400, dtype=torch.long))


class Tuples(Points):
    def read(self, part):
        return torch.zeros(400, 2), None


class FewLabels(Points):
    def read(self, part):
        return Examples(torch.arange(800.0).view(400, 2) / 800, torch.zeros(399, dtype=torch.long))


class Infinite(Points):
    def read(self, part):
        return Examples(torch.full((400, 2), torch.inf))


class Bright(Source):
    title = "bright"
    levels = 17

    def read(self, part):
        return Examples(torch.full((400, 1, 8, 8), 17, dtype=torch.uint8))


class NoFigure(Metric):
    name = "no_figure"

    def applies(self, model, objective):
        return True

    def measure(self, trained):
        return 3.0


class Asks(NoFigure):
    def __init__(self, of_what):
        pass
"""

TINY = ("trainer=cpu", "trainer.max_steps=2", "logger=csv", "data.validation=100", "plugins=[mistaken]")
POINTS = ("model=maf", "data=toy2d", "data.name=mistaken.Points", "data.batch_size=50", *TINY)
OWN = ("~model", "+model={_target_:mistaken.MODEL,shape:[2],levels:null}", *POINTS[1:])


def _own(model: str) -> tuple[str, ...]:
    return tuple(argument.replace("MODEL", model) for argument in OWN)


@pytest.fixture
def run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Done]]:
    (tmp_path / "mistaken.py").write_text(PACKAGE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(plugins, "_allowed", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield lambda program, *arguments: run_program(program, *arguments, capture=capsys)
    sys.modules.pop("mistaken", None)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (_own("Fails"), "model: mistaken.Fails fails: KeyError: 'width' ("),
        (_own("Untrained"), "the loss of NegativeLogLikelihood does not depend on any weight of Untrained"),
        ((*POINTS, "objective._target_=mistaken.Word"), "Word.selection has to give None or a genmodels.objectives."),
        ((*POINTS, "objective._target_=mistaken.Upwards"), "Upwards.selection has to give None or a genmodels."),
        ((*POINTS, "objective._target_=mistaken.LossAlone"), "LossAlone has to give a scalar loss and its metrics"),
        ((*POINTS, "data.name=mistaken.Tuples"), "mistaken.Tuples.read has to give genmodels.data.Examples, and gives"),
        (
            (*POINTS, "data.name=mistaken.FewLabels", "data.num_classes=2"),
            "mistaken.FewLabels gives 400 examples and 399 labels.",
        ),
        ((*POINTS, "data.name=mistaken.Infinite"), "mistaken.Infinite must give finite numbers only"),
        (
            ("model=nice_small", "data.name=mistaken.Bright", *TINY),
            "mistaken.Bright must give values of 0 to 16 only",
        ),
        ((*POINTS, "plugins=[json]"), "plugins=json is a package that comes with Python or genmodels: give yours"),
        ((*POINTS, "evaluation.metrics=[mistaken.Asks]"), "metrics=mistaken.Asks cannot be built: TypeError: "),
    ],
)
def test_of_a_model_an_objective_or_a_source(
    run: Callable[..., Done], arguments: tuple[str, ...], sentence: str
) -> None:
    assert run("train", *arguments).mistake.startswith(sentence)


def test_of_a_metric(run: Callable[..., Done], tmp_path: Path) -> None:
    assert run("train", *POINTS, f"hydra.run.dir={tmp_path / 'run'}").code == 0
    done = run("evaluate", f"run={tmp_path / 'run'}", "plugins=[mistaken]", "metrics=[mistaken.NoFigure]")
    assert done.mistake == "mistaken.NoFigure.measure has to give a Figure, and gives a float"
