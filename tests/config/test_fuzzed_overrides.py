"""Whatever is typed for whatever key: it can be built, or it ends in a sentence."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from model_configs import MODELS
from omegaconf import OmegaConf

from genmodels.config.checks import check
from genmodels.config.compose import compose, compose_unresolved
from genmodels.config.mistakes import sentence_for
from genmodels.runs.fit import build_parts

CHOICES = [
    *([f"model={model}"] for model in MODELS if model.endswith("_small")),
    *(["data=toy2d", f"model={model}"] for model in ("maf", "maf_mog", "made", "iaf", "planar", "gan", "gmm")),
    ["data=toy2d", "model=ffjord_vectors", "objective=flow_matching"],
    ["data=energy2d", "model=radial", "objective=reverse_kl"],
    ["model=vae_small", "objective=iwae", "scheduler=iwae"],
    ["model=nice_small", "optimizer=rmsprop", "scheduler=cosine", "trainer.max_steps=9"],
    ["model=nice_small", "optimizer=sgd", "scheduler=noam", "trainer=ddp_cpu"],
]
NUMBERS = ("-1", "0", "1", "2", "3", "0.5", "-0.5", "1e400", "-1e400", "nan", "1e-300", "1000000000000", "1e12")
OTHERS = ("null", "true", "text", "''", "[]", "[1]", "[2,-3]", "[a,b]", "{}", "{a:1}", "{_target_:os.system}", "[[1]]")


def _leaves(config: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def _override(chance: random.Random, keys: list[str]) -> str:
    return f"{chance.choice(keys)}={chance.choice(NUMBERS if chance.random() < 0.7 else OTHERS)}"


def _untold(overrides: list[str]) -> BaseException | None:
    """The error that none of our sentences is about."""
    try:
        config = compose(overrides)
        check(config)
        build_parts(config)
    except Exception as error:
        return None if sentence_for(error, "config", overrides) else error
    return None


@pytest.mark.parametrize("seed", [*range(16), *(pytest.param(s, marks=pytest.mark.slow) for s in range(16, 400))])
def test_it_can_be_built_or_ends_in_a_sentence(seed: int) -> None:
    chance = random.Random(seed)
    choice = chance.choice(CHOICES)
    config: Any = OmegaConf.to_container(compose_unresolved(choice, "config"))
    keys = list(_leaves(config))
    overrides = [*choice, *(_override(chance, keys) for _ in range(chance.randint(1, 3)))]
    assert _untold(overrides) is None, " ".join(overrides)
