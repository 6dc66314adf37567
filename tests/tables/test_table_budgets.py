"""The one rule: which lengths shrink, by how much, and what stays."""

import math
from typing import Any

import pytest

from genmodels.config.compose import compose
from genmodels.tables.budgets import BUDGETS, LENGTHS, lengths, rule, scored, settings, validations
from genmodels.tables.definition import Source
from genmodels.tables.plan import overrides_of
from genmodels.tables.timing import time_steps

SMOKE = BUDGETS["smoke"]


def values(overrides: list[str]) -> dict[str, str]:
    return dict(override.split("=", 1) for override in overrides)


def test_lengths_shrink_with_the_run_and_rates_keep_their_total() -> None:
    config: dict[str, Any] = {
        "trainer": {"accumulate_grad_batches": 2},
        "objective": {"warmup_steps": 50_000, "critic_steps": 5, "augment": {"ramp_images": 500_000}},
        "scheduler": {"warmup_steps": 3, "decay_start": 0, "rate": 0.999},
        "callbacks": {"ema": {"start": 1000}},
    }
    found = values(lengths(config, 200, 100_000, validations=4))
    assert math.pow(float(found.pop("scheduler.rate")), 200) == pytest.approx(math.pow(0.999, 100_000), rel=1e-6)
    assert found == {
        "trainer.max_steps": "200",
        "trainer.val_check_interval": "500",  # of batches: a fourth of 200 steps of 2 * 5
        "callbacks.checkpoints.every_n_steps": "20",
        "objective.warmup_steps": "100",
        "objective.augment.ramp_images": "1000",
        "scheduler.warmup_steps": "1",  # never none, where there was some
        "callbacks.ema.start": "2",
    }


def test_a_recipe_that_fits_keeps_its_lengths() -> None:
    config = {"trainer": {}, "objective": {"warmup_steps": 50}, "scheduler": {"rate": 0.9}}
    assert values(lengths(config, 100, 100, validations=4)).keys() == {
        "trainer.max_steps",
        "trainer.val_check_interval",
        "callbacks.checkpoints.every_n_steps",
    }


def test_the_rule_that_is_printed_names_every_length() -> None:
    assert all(f"`{key}`" in rule() for key in LENGTHS)


def test_a_small_model_is_trained_by_the_recipe() -> None:
    """flowpp_small would bring a constant learning rate, and the recipe's warm-up would be left over beside it."""
    source = Source(experiment="flowpp_cifar10")
    recipe, small = compose(["experiment=flowpp_cifar10"]), compose(overrides_of(source, 3, SMOKE))
    assert (small["name"], small["seed"], small["model"]["width"]) == ("flowpp_small-cifar10", 3, 32)
    for key in ("scheduler", "objective", "published"):
        assert small[key] == recipe[key]
    assert small["optimizer"] == recipe["optimizer"]
    assert overrides_of(source, 0, BUDGETS["gpu_hour"]) == ["experiment=flowpp_cifar10", "seed=0"]


def test_what_a_budget_sets() -> None:
    recipe = compose(["experiment=vae_vamp_binarized_mnist_static"])
    found = compose(["experiment=vae_vamp_binarized_mnist_static", *settings(recipe, SMOKE, ())])
    assert (found["data"]["batch_size"], found["evaluation"]["importance_samples"]) == (32, 16)
    assert (found["evaluation"]["max_images"], found["trainer"]["limit_val_batches"]) == (128, 4)
    assert (found["callbacks"]["early_stopping"], found["callbacks"]["samples"]) == (None, None)
    samples = compose(["experiment=wgan_gp_cifar10"])
    asked = values(settings(samples, SMOKE, ["fid"]))
    assert (asked["evaluation.metrics"], asked["evaluation.max_images"]) == ("[fid]", "1000")
    assert asked["evaluation.num_samples"] == "1000"
    vectors = compose(["experiment=gallery_gmm", *settings(compose(["experiment=gallery_gmm"]), SMOKE, ())])
    assert vectors["data"]["batch_size"] == 256
    average = compose(["experiment=glow_cifar10", "callbacks.ema.decay=0.999"])
    assert values(settings(average, SMOKE, ()))["callbacks.ema.ramp"] == "0.05"
    assert settings(recipe, BUDGETS["paper"], ()) == []


def test_what_is_slow_to_score_is_scored_on_fewer_examples() -> None:
    config = {
        "data": {"batch_size": 32},
        "evaluation": {"importance_samples": 1, "max_images": 128, "metrics": None},
    }
    assert scored(config, 20, 0.001) == []
    # 15% of 20 seconds, for 5 passes of 0.012 seconds each
    assert scored(config, 20, 0.012) == ["evaluation.max_images=50", "trainer.limit_val_batches=2"]
    assert scored(config, 20, 9.0) == ["evaluation.max_images=16", "trainer.limit_val_batches=1"]
    many = {**config, "evaluation": config["evaluation"] | {"importance_samples": 16}}
    assert scored(many, 20, 0.003) == ["evaluation.max_images=50", "trainer.limit_val_batches=2"]
    assert scored({**config, "evaluation": config["evaluation"] | {"metrics": ["fid"]}}, 20, 9.0) == []


def test_validations_are_as_many_as_fit_beside_the_test() -> None:
    config = {
        "trainer": {"limit_val_batches": 4},
        "data": {"batch_size": 32},
        "evaluation": {"importance_samples": 16, "max_images": 100},
    }
    # 3 seconds, less 16 passes over 100 examples, for passes over 128 of them
    assert validations(config, 20, 0.001) == int((3 - 1.6) / 0.128) == 10
    assert validations(config, 20, 1e-5) == 50
    assert validations(config, 20, 0.1) == 4


def test_a_recipes_size_yields_to_the_small_models_and_what_a_row_is_about_does_not() -> None:
    gated = compose(overrides_of(Source(experiment="gated_pixelcnn_cifar10"), 0, SMOKE))["model"]
    assert (gated["num_layers"], gated["width"]) == (7, 32)  # the recipe: 15 and 128
    surgery = compose(overrides_of(Source(experiment="elbo_surgery_20"), 0, SMOKE))["model"]
    assert surgery["posterior"]["num_latents"] == 20  # vae_small: 8
    flow = compose(overrides_of(Source(experiment="flowpp_imagenet32"), 0, SMOKE))["model"]
    assert flow["layout"] == ["2 columns", "squeeze", "2 channels", "2 columns or channels"]
    assert compose(overrides_of(Source(experiment="ffjord_mnist"), 0, SMOKE))["model"]["alpha"] == 1e-6
    asked = Source(experiment="gated_pixelcnn_cifar10", overrides=["model.width=48"])
    assert compose(overrides_of(asked, 0, SMOKE))["model"]["width"] == 48  # the table's own word


def test_seconds_are_a_rows_or_a_cells() -> None:
    laptop = BUDGETS["laptop"]
    assert laptop.training_seconds(columns=3, cells=27) == 200
    assert laptop.training_seconds(columns=7, cells=63) == 600 / 7  # nine full rows: ninety minutes, no less
    assert laptop.training_seconds(columns=2, cells=72) == 75  # 36 rows share the table's ninety minutes
    assert laptop.training_seconds(columns=1, cells=0) == 600  # of a table whose models are all missing
    assert SMOKE.training_seconds(columns=3, cells=3000) == 20
    assert BUDGETS["paper"].training_seconds(3, 30) is None
    said = "600 CPU seconds of training a row and 5,400 a table at most, which makes 75 a cell"
    assert said in laptop.in_words(columns=2, cells=72)


def test_timing_counts_steps_and_knows_the_recipes_own() -> None:
    config = compose(["model=nice_small", "data=digits", "data.batch_size=32", "trainer=cpu"])
    recipe = {"max_steps": -1, "max_epochs": 30, "batch": 64}
    timing = time_steps(config, 1.0, "cpu", recipe)
    assert timing.recipe_steps == 30 * (1297 // 32) / 2
    assert timing.steps >= 3
    assert 0 < timing.seconds_per_example < 0.01
    assert 0.09 < timing.steps * timing.seconds_per_step < 1.0  # a tenth of the seconds, and the step that ended it
    capped = time_steps(config, 0.01, "cpu", {**recipe, "max_steps": 7})
    assert capped.recipe_steps == 7


def test_a_critic_takes_several_batches_a_step() -> None:
    config = compose(["model=gan", "data=digits", "objective.critic_steps=2", "trainer=cpu"])
    timing = time_steps(config, 0.01, "cpu", {"max_steps": -1, "max_epochs": 10, "batch": 64})
    assert timing.recipe_steps == 100  # 20 batches an epoch
