"""How many processes, and which one this is."""

import pytest

from genmodels.config.devices import evaluating_processes
from genmodels.errors import UserError


@pytest.fixture(autouse=True)
def nobodys_child(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE", "SLURM_STEP_ID"):
        monkeypatch.delenv(name, raising=False)


def test_an_evaluation_starts_the_processes_that_it_is_asked_for() -> None:
    assert [evaluating_processes(devices, "cpu") for devices in (1, 3, "2", "auto")] == [1, 3, 2, 1]


def test_an_evaluation_that_torchrun_has_started_starts_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert evaluating_processes(2, "cpu") == 1


def test_an_evaluation_by_tasks_that_do_not_know_of_each_other_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    with pytest.raises(UserError, match="srun has started several tasks"):
        evaluating_processes(1, "cpu")


@pytest.mark.parametrize(
    ("devices", "device", "sentence"), [("many", "cpu", "^devices must be"), (0, "cpu", "^devices=0")]
)
def test_numbers_of_devices_that_are_none(devices: int | str, device: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        evaluating_processes(devices, device)
