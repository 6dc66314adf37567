"""What may change about a run that is taken up again."""

import pytest

from genmodels.config.compose import compose
from genmodels.config.resuming import resumed_config, same_run
from genmodels.errors import UserError


def test_limits_and_callbacks_may_change() -> None:
    saved = compose(["model=nice_small", "trainer.max_steps=5"])
    overrides = ["resume=somewhere", "trainer.max_steps=9", "+trainer.max_time=00:01:00:00", "callbacks.samples=null"]
    config = resumed_config(saved, overrides)
    assert config["trainer"]["max_steps"] == 9
    assert config["trainer"]["max_time"] == "00:01:00:00"
    assert config["callbacks"]["samples"] is None
    assert config["model"] == saved["model"]


def test_a_run_that_ran_out_of_memory_may_go_on_reversibly() -> None:
    saved = compose(["model=nice_small"])
    config = resumed_config(saved, ["resume=somewhere", "model.reversible=true"])
    assert config["model"] == {**saved["model"], "reversible": True}
    assert same_run(saved, config)


@pytest.mark.parametrize("override", ["model.width=3", "seed=1", "data.batch_size=8", "optimizer.lr=0.1", "model=glow"])
def test_what_was_learned_may_not(override: str) -> None:
    with pytest.raises(UserError, match=override):
        resumed_config(compose(), ["resume=somewhere", override])
