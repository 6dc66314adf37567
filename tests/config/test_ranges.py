"""A number outside its range is refused by a sentence that names its key, whichever key it is."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from genmodels.config.checks import check, check_arguments, check_saved
from genmodels.config.compose import compose
from genmodels.config.ranges import range_errors
from genmodels.errors import UserError
from genmodels.runs.fit import build_parts

MEANINGFUL = {"trainer.max_steps", "trainer.max_epochs", "trainer.devices", "trainer.num_sanity_val_steps"}
"""Where -1 means something: no limit, all devices, all batches."""

CHOICES = (
    [],
    ["data=toy2d", "model=maf", "optimizer=rmsprop", "scheduler=exponential"],
    ["optimizer=adagrad", "scheduler=cosine", "trainer.max_steps=9", "model=pixelcnn_small"],
    ["data=energy2d", "model=planar", "objective=reverse_kl", "scheduler=noam"],
    ["model=vae_small", "objective=iwae", "scheduler=iwae"],
    ["model=vae_small", "objective=elbo"],
    ["model=ffjord_small", "model/solver=rk4", "objective=rnode"],
    ["data=toy2d", "model=ffjord_vectors", "objective=flow_matching"],
)


def _numbers(config: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in config.items():
        here = f"{path}{key}"
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{here}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield here


def _with(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    key, _, rest = path.partition(".")
    return {**config, key: _with(config[key], rest, value) if rest else value}


def _checked_and_built(config: dict[str, Any]) -> None:
    check(config)
    build_parts(config)


def _told(config: dict[str, Any]) -> list[str]:
    with pytest.raises(UserError) as caught:
        _checked_and_built(config)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("overrides", CHOICES, ids=lambda choice: " ".join(choice) or "default")
def test_every_number_has_a_range(overrides: list[str]) -> None:
    config = compose(overrides)
    keys = list(_numbers(config))
    assert len(keys) > 30
    for key in keys:
        for value in (-1, -1.0, float("nan"), float("inf"), float("-inf")):
            if value == -1 and key in MEANINGFUL:
                if isinstance(value, int):
                    check(_with(config, key, value))
                continue
            sentences = _told(_with(config, key, value))
            assert any(sentence.startswith((f"{key} must ", f"{key}=")) for sentence in sentences), (
                key,
                value,
                sentences,
            )


OUTSIDE = [
    ("trainer.gradient_clip_val=-1", "trainer.gradient_clip_val must be above 0, or null for no clipping, got -1"),
    ("trainer.gradient_clip_val=0", "trainer.gradient_clip_val must be above 0, or null for no clipping, got 0"),
    ("trainer.gradient_clip_val=-0.0", "trainer.gradient_clip_val must be above 0, or null for no clipping, got -0.0"),
    ("trainer.gradient_clip_val=1e400", "trainer.gradient_clip_val must be above 0, or null for no clipping, got inf"),
    ("trainer.gradient_clip_algorithm=both", "trainer.gradient_clip_algorithm must be one of norm, value, got 'both'"),
    ("trainer.max_steps=0", "trainer.max_steps must be at least 1, or -1 for no limit, got 0"),
    ("trainer.max_epochs=-2", "trainer.max_epochs must be at least 1, or -1 for no limit, got -2"),
    ("trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches must be at least 1, got 0"),
    ("trainer.log_every_n_steps=0", "trainer.log_every_n_steps must be at least 1, got 0"),
    ("trainer.check_val_every_n_epoch=0", "trainer.check_val_every_n_epoch must be at least 1, got 0"),
    (
        "trainer.val_check_interval=1.5",
        "trainer.val_check_interval must be above 0 (an integer), or a fraction up to 1.0, got 1.5",
    ),
    (
        "trainer.limit_train_batches=0",
        "trainer.limit_train_batches must be above 0 (an integer), or a fraction up to 1.0, got 0",
    ),
    ("+trainer.max_time.days=-1", "trainer.max_time.days must be at least 0, got -1"),
    ("optimizer.lr=0", "optimizer.lr must be above 0, got 0"),
    ("optimizer.betas=[0.9,1]", "optimizer.betas must hold numbers in [0, 1), got [0.9, 1]"),
    ("optimizer.betas=[nan,0.9]", "optimizer.betas must hold numbers in [0, 1), got [nan, 0.9]"),
    ("optimizer.eps=0", "optimizer.eps must be above 0, got 0"),
    ("optimizer.weight_decay=-0.1", "optimizer.weight_decay must be at least 0, got -0.1"),
    ("+optimizer.maximize=true", "optimizer.maximize is set by the program itself: leave it out"),
    ("+optimizers.critic={_target_: torch.optim.Adam, lr: -1}", "optimizers.critic.lr must be above 0, got -1"),
    ("callbacks.ema.decay=1", "callbacks.ema.decay must be in [0, 1), got 1"),
    ("callbacks.checkpoints.every_n_steps=0", "callbacks.checkpoints.every_n_steps must be at least 1, got 0"),
    ("callbacks.samples.every=0", "callbacks.samples.every must be at least 1, got 0"),
    ("data.shape=[1,8,-8]", "data.shape must hold numbers at least 1, got [1, 8, -8]"),
    ("data.levels=1", "data.levels must be at least 2, got 1"),
    ("seed=4294967296", "seed must be in [0, 4294967295], got 4294967296"),
    ("seed=-1", "seed must be in [0, 4294967295], got -1"),
    ("seed=1000000000000", "seed must be in [0, 4294967295], got 1000000000000"),
    ("data.split_seed=4294967296", "data.split_seed must be in [0, 4294967295], got 4294967296"),
    ("data.num_workers=1000000000000", "data.num_workers must be in [0, 1024], got 1000000000000"),
    ("callbacks.samples.n=1000000000000", "callbacks.samples.n must be in [1, 100000], got 1000000000000"),
    ("model.num_steps=1000000000000", "model.num_steps must be at most 10000, got 1000000000000"),
    (
        "evaluation.importance_samples=1000000000000",
        "evaluation.importance_samples must be in [1, 1000000], got 1000000000000",
    ),
    ("evaluation.max_images=0", "evaluation.max_images must be at least 1, got 0"),
]


@pytest.mark.parametrize(("override", "sentence"), OUTSIDE)
def test_outside(override: str, sentence: str) -> None:
    assert _told(compose([override]))[0] == sentence


@pytest.mark.parametrize(
    "override",
    [
        "trainer.gradient_clip_val=1",
        "trainer.limit_val_batches=0",
        "trainer.limit_val_batches=0.5",
        "trainer.val_check_interval=7",
        "optimizer.betas=[0,0]",
        "callbacks.samples.temperature=0",
        "evaluation.max_images=1",
        "seed=4294967295",
    ],
)
def test_the_ends_of_ranges_are_inside(override: str) -> None:
    check(compose([override]))


def test_a_users_own_classes_see_to_their_ranges() -> None:
    def told(target: str) -> list[str]:
        return list(range_errors({"callbacks": {"mine": {"_target_": target, "decay": 7, "delta": -1.0}}}))

    assert told("my_package.EMA") == []
    assert told("genmodels.training.EMA") == [
        "callbacks.mine.decay must be in [0, 1), got 7",
        "callbacks.mine.delta must be at least 0, got -1.0",
    ]


def test_mistakes_of_several_parts_and_of_constructors_are_told_together() -> None:
    told = _told(compose(["optimizer.lr=-1", "trainer.log_every_n_steps=0", "data.levels=99", "+model.widht=3"]))
    assert told[:3] == [
        "unknown key model.widht: did you mean model.width?",
        "optimizer.lr must be above 0, got -1",
        "trainer.log_every_n_steps must be at least 1, got 0",
    ]
    assert told[3].startswith("data.levels=99 is impossible for digits")
    told = _told(compose(["model.num_scales=5", "data.validation=null"]))
    assert [sentence.split("=")[0] for sentence in told] == ["model.num_scales", "data.validation"]


def test_a_run_that_is_done_loads_with_settings_that_are_refused_today() -> None:
    config = compose(["trainer.gradient_clip_val=-1", "trainer.accelerator=gpu"])
    check_saved(config)
    with pytest.raises(UserError):
        check(config)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("n", 0, "n must be at least 1, got 0"),
        ("temperature", -1.0, "temperature must be at least 0, got -1.0"),
        ("temperature", float("nan"), "temperature must be at least 0, got nan"),
    ],
)
def test_the_other_front_doors(key: str, value: float, sentence: str) -> None:
    def draw(n: int = 1, temperature: float = 1.0) -> None: ...

    with pytest.raises(UserError, match=f"^{sentence}$"):
        check_arguments(draw, {key: value})
