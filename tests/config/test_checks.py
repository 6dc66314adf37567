"""A whole config is held against what it will build, before anything is built."""

import itertools
from typing import Any

import pytest
from training_toys import DiagonalGaussian, digits

from genmodels import models
from genmodels.config.checks import check
from genmodels.config.combinations import fit_errors
from genmodels.config.compose import CONFIG_DIR, compose
from genmodels.config.targets import build
from genmodels.data.sources import SOURCES
from genmodels.errors import UserError

MODELS = sorted(path.stem for path in (CONFIG_DIR / "model").glob("*.yaml"))
DATA = sorted(path.stem for path in (CONFIG_DIR / "data").glob("*.yaml"))
EXPERIMENTS = sorted(path.stem for path in (CONFIG_DIR / "experiment").glob("*.yaml"))
OTHERS = [
    f"{group}={path.stem}"
    for group in ("optimizer", "scheduler", "trainer", "logger", "callbacks", "objective")
    for path in sorted((CONFIG_DIR / group).glob("*.yaml"))
]


def _told(config: dict[str, Any]) -> list[str]:
    with pytest.raises(UserError) as caught:
        check(config)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("model", "data"),
    [
        *itertools.product(MODELS, ("digits", "binarized_mnist", "cifar10", "toy2d")),
        *(("nice_small", d) for d in DATA if d != "energy2d"),
    ],
)
def test_every_model_meets_every_kind_of_data(model: str, data: str) -> None:
    config = compose([f"model={model}", f"data={data}"])
    kind = "vectors" if SOURCES[config["data"]["name"]].levels is None else "images"
    takes = getattr(models, config["model"]["_target_"].rpartition(".")[2]).takes
    if kind in takes:
        check(config)
    else:
        (sentence,) = _told(config)
        assert f"is a model of {min(takes)}, and " in sentence
        assert f" holds {kind} of shape {config['data']['shape']}: choose a model of {kind}, such as model=" in sentence
    assert config["name"] == f"{model}-{data}"


@pytest.mark.parametrize("choice", OTHERS)
def test_every_other_choice_passes(choice: str) -> None:
    if choice in ("trainer=gpu", "trainer=ddp", "trainer=fsdp"):
        pytest.skip("needs a GPU")
    check(compose([choice, "trainer.max_steps=100"]))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_passes(name: str) -> None:
    check(compose([f"experiment={name}"]))


def test_the_models_objective_yields_to_the_command_line() -> None:
    config = compose(["model=glow", "objective=nll"])
    assert config["objective"]["_target_"].startswith("genmodels.objectives")


def test_all_mistakes_are_told_at_once() -> None:
    config = compose(["+model.widht=1", "model.num_steps=2.5", "data.flip=3", "callbacks.ema.decay=high"])
    assert sorted(_told(config)) == [
        "callbacks.ema.decay must be a number or null, got 'high'",
        "data.flip must be true or false, got 3",
        "model.num_steps must be an integer, got 2.5",
        "unknown key model.widht: did you mean model.width?",
    ]


def test_a_missing_key_is_named() -> None:
    config = compose()
    del config["model"]["shape"]
    assert _told(config) == ["model.shape is missing: Glow needs it"]


def test_what_the_program_sets_itself_cannot_be_set() -> None:
    config = compose(["+trainer.default_root_dir=/tmp"])
    assert _told(config) == ["trainer.default_root_dir is set by the program itself: leave it out"]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["trainer=ddp_cpu", "data.batch_size=63"], "data.batch_size=63 cannot be shared evenly by 2 processes"),
        (["evaluation.importance_samples=0"], "evaluation.importance_samples must be in [1, 1000000], got 0"),
        (["model=nice_small", "data=energy2d"], "data.name=u1 is a density to be fitted, not a set of examples:"),
        (["seed=-1"], "seed must be in [0, 4294967295], got -1"),
        (
            ["trainer.num_nodes=2", "trainer=cpu"],
            "trainer.num_nodes=2 needs a launcher that starts the program on each",
        ),
        (["trainer.precision=bf16-true"], "trainer.precision=bf16-true keeps weights, data and log-likelihoods in bf"),
        (["trainer.precision=16-true"], "trainer.precision=16-true keeps weights, data and log-likelihoods in float16"),
        (["trainer.precision=16-mixed"], "trainer.precision=16-mixed scales the loss"),
        (["trainer.precision=16"], "trainer.precision=16 scales the loss"),
        (
            ["model=vae_small", "model.likelihood.levels=5"],
            "model.likelihood.levels is 5, and data.levels is 17: leave",
        ),
        (["trainer.devices=many"], "trainer.devices must be a number, a list or auto, got 'many'"),
    ],
)
def test_combinations_that_cannot_be(overrides: list[str], sentence: str) -> None:
    assert _told(compose(overrides))[0].startswith(sentence)


def test_processes_of_all_nodes_share_a_batch() -> None:
    told = _told(compose(["trainer=ddp_cpu", "trainer.num_nodes=2", "data.batch_size=66"]))
    assert told[1].startswith("data.batch_size=66 cannot be shared evenly by 4 processes")


def test_a_built_model_is_of_its_datas_kind() -> None:
    assert list(fit_errors(DiagonalGaussian((1, 8, 8), 17), digits())) == []
    assert [told.partition(":")[0] for told in fit_errors(DiagonalGaussian((1, 8), 16), digits())] == [
        "DiagonalGaussian.shape is (1, 8), and data.shape is (1, 8, 8)",
        "DiagonalGaussian.levels is 16, and data.levels is 17",
    ]


def test_values_that_a_constructor_refuses_are_mistakes() -> None:
    node = compose(["optimizer=adamax_glow", "optimizer.lr=-0.1"])["optimizer"]
    with pytest.raises(UserError, match="optimizer: lr and eps must not be negative"):
        build(node, "optimizer")([])
