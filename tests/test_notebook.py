"""Runs from Python: short errors, nothing left behind in the process."""

import asyncio
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import torch
from command_line import ROOT
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import genmodels
from genmodels.errors import UserError
from genmodels.runs.finished_run import Run

TINY = ["model=nice_small", "model.width=8", "model.num_hidden=1", "trainer=cpu", "trainer.max_steps=2", "logger=csv"]


def test_a_wrong_option_is_one_short_error(tmp_path: Path) -> None:
    for call in (genmodels.compose, genmodels.train):
        with pytest.raises(UserError, match=r"^there is no model=glw: did you mean model=glow\?") as caught:
            call(["model=glw"])
        assert "hydra" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(UserError, match=r"^unknown key model\.num_coupling: did you mean model\.num_couplings"):
        genmodels.compose(["model=nice", "model.num_coupling=3"])
    with pytest.raises(UserError, match=r"^seed must be an integer"):
        genmodels.train(["seed=many"], tmp_path)


def test_training_gives_the_loaded_run_in_a_running_event_loop_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (GlobalHydra.instance().hydra, HydraConfig.instance().cfg)

    async def cell() -> list[Run]:
        return [genmodels.train(TINY), genmodels.train(genmodels.compose([*TINY, "seed=1"]), tmp_path / "second")]

    first, second = asyncio.run(cell())
    assert first.folder.path.parent == Path("outputs/nice_small-digits")
    assert second.folder.path == tmp_path / "second"
    assert (first.step, second.config["seed"]) == (2, 1)
    assert first.model.sample(3).shape == (3, 1, 8, 8)
    again = genmodels.load_run(first.folder.path)
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True))
    assert (GlobalHydra.instance().hydra, HydraConfig.instance().cfg) == before
    longer = genmodels.train([f"resume={second.folder.path}", "trainer.max_steps=3"])
    assert (longer.folder.path, longer.step) == (second.folder.path, 3)


@pytest.mark.parametrize(
    ("first", "loads"),
    [
        ("import genmodels; assert 'torch' not in sys.modules; import torchvision.ops", True),
        pytest.param("import torch, genmodels, torchvision.transforms", True, marks=pytest.mark.slow),
        pytest.param("import genmodels, pytorch_lightning", True, marks=pytest.mark.slow),
        pytest.param(
            "import genmodels, importlib.util; importlib.util.find_spec('torchvision'); import torchmetrics",
            True,
            marks=pytest.mark.slow,
        ),
        ("import genmodels; genmodels.compose(['model=glow'])", False),
    ],
)
def test_torchvision_can_be_imported_whatever_comes_first(first: str, loads: bool) -> None:
    then = f"import sys; {first}; assert ('torchvision' in sys.modules) is {loads}"
    subprocess.run([sys.executable, "-c", then], cwd=ROOT, check=True, capture_output=True)
