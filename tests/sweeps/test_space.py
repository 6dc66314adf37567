"""What a search varies, as conf/sweep writes it."""

import pytest

pytest.importorskip("optuna")

from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from genmodels.config.checks import check
from genmodels.config.compose import CONFIG_DIR, compose
from genmodels.errors import UserError
from genmodels.sweeps.space import read_space

SPACES = sorted(file.stem for file in (CONFIG_DIR / "sweep").glob("*.yaml"))
CHOICES = {  # of a space that is not for the model of its name on the digits
    "optimizer": ["model=nice_small"],
    "maf": ["model=maf", "data=toy2d"],
    "wgan_gp": ["model=wgan_gp", "data=cifar10"],
}


def test_hydras_grammar_becomes_optunas() -> None:
    nodes = {
        "optimizer": {"lr": "tag(log, interval(1e-4, 1e-2))", "betas": "choice([0.9,0.99],[0.5,0.9])"},
        "model": {"width": "range(8, 33, 8)", "depth": "tag(log, int(interval(1, 64)))", "dropout": "interval(0, 0.5)"},
        "model/prior": "choice(normal, vamp)",
        "data": {"flip": "true,false"},
    }
    assert read_space(nodes).distributions == {
        "optimizer.lr": FloatDistribution(1e-4, 1e-2, log=True),
        "optimizer.betas": CategoricalDistribution(["[0.9,0.99]", "[0.5,0.9]"]),
        "model.width": IntDistribution(8, 32, step=8),
        "model.depth": IntDistribution(1, 64, log=True),
        "model.dropout": FloatDistribution(0, 0.5),
        "model/prior": CategoricalDistribution(["normal", "vamp"]),
        "data.flip": CategoricalDistribution(["True", "False"]),
    }


def test_values_are_overrides_that_hydra_reads_as_they_were() -> None:
    space = read_space({"optimizer": {"lr": "interval(0, 1)"}, "scheduler": "choice(constant, cosine)"})
    typed = space.overrides({"scheduler": "cosine", "optimizer.lr": 1.2345678e-05})
    assert typed == ["optimizer.lr=1.2345678e-05", "scheduler=cosine"]
    assert [o.value() for o in OverridesParser.create().parse_overrides(typed)] == [1.2345678e-05, "cosine"]
    assert space.ends() == [["optimizer.lr=0.0", "scheduler=constant"], ["optimizer.lr=1.0", "scheduler=cosine"]]


def test_what_is_typed_is_not_searched() -> None:
    space = read_space({"optimizer": {"lr": "interval(0, 1)"}, "model": {"width": "choice(1,2)"}}, ["model.width"])
    assert list(space.expressions) == ["optimizer.lr"]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("5", "is nothing to choose from: write choice"),
        ("interval(1", "cannot be read: write choice"),
        ("interval(2, 1)", r"sweep.space.model.width=interval\(2, 1\): .*low"),
        ("tag(log, interval(0, 1))", "`low > 0` must hold"),
        ("range(5, 1)", "has to rise"),
        ("glob(*)", "is nothing to choose from"),
    ],
)
def test_mistakes(expression: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        read_space({"model": {"width": expression}})


def test_an_empty_space_is_a_mistake() -> None:
    with pytest.raises(UserError, match="nothing to search"):
        read_space({"model": {"width": "choice(1,2)"}}, ["model.width"])


@pytest.mark.parametrize("name", SPACES)
def test_every_space_that_ships_fits_its_model(name: str) -> None:
    overrides = CHOICES.get(name, [f"model={name}"])
    space = read_space(compose([f"sweep={name}"], "sweep")["sweep"]["space"])
    for end in space.ends():
        check(compose([*overrides, *end]))
