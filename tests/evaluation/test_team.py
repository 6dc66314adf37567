"""Several processes find what one finds, bit for bit. Started by fork, which takes half a second."""

import pickle
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing
from image_vae import image_vae, images, trained
from training_toys import DiagonalGaussian

from genmodels.errors import UserError
from genmodels.evaluation.metrics import FID, Likelihood
from genmodels.evaluation.metrics.likelihood import log_likelihoods
from genmodels.evaluation.team import ALONE, Team, joined_team


def _member(rank: int, size: int, folder: Path, work: Callable[[Team], Any]) -> None:
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(str(folder / "store"), size)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=size)
    found: Any
    try:
        found = work(Team(rank, size))
    except UserError as error:
        found = error
    (folder / str(rank)).write_bytes(pickle.dumps(found))
    torch.distributed.destroy_process_group()


def in_a_team(size: int, folder: Path, work: Callable[[Team], Any]) -> list[Any]:
    """What each of so many processes finds, or the UserError that it ends with."""
    folder.mkdir()
    torch.multiprocessing.start_processes(_member, (size, folder, work), nprocs=size, start_method="fork")
    return [pickle.loads((folder / str(rank)).read_bytes()) for rank in range(size)]


@pytest.mark.parametrize(("size", "count", "limit"), [(2, 25, None), (3, 25, None), (3, 25, 18), (2, 3, None)])
def test_likelihoods_of_each_example_once(size: int, count: int, limit: int | None, tmp_path: Path) -> None:
    """Batches of 4, whose number the processes do not divide; with more processes than batches too."""
    torch.manual_seed(0)
    model, (x, _) = DiagonalGaussian((1, 8, 8), 17), images(count)
    batches = [(part, None) for part in x.split(4)]

    def scores(team: Team) -> torch.Tensor:
        return log_likelihoods(model, batches, 3, limit, seed=1, team=team)

    expected = scores(ALONE)
    assert len(expected) == (limit or count)
    assert all(torch.equal(found, expected) for found in in_a_team(size, tmp_path / "team", scores))


def test_figures_of_a_team_are_those_of_one_process(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, (x, y) = image_vae(3), images(50)

    def figures(team: Team) -> list[dict[str, Any]]:
        asked = trained(model, x, y, tmp_path, batch_size=8, num_samples=50, features="small", team=team)
        return [asdict(metric.measure(asked)) for metric in (Likelihood(), FID())]

    assert in_a_team(2, tmp_path / "team", figures) == [figures(ALONE)] * 2


def test_a_mistake_of_one_process_is_told_by_all(tmp_path: Path) -> None:
    def work(position: int, item: int) -> int:
        if item == 3:
            raise UserError("three")
        return 2 * item

    def results(team: Team) -> list[int]:
        return list(team.shared(range(5), work))

    found = in_a_team(2, tmp_path / "team", results)
    assert [str(error) for error in found] == ["three"] * 2
    assert list(ALONE.shared(range(3), work)) == [0, 2, 4]


def test_a_process_alone_is_a_team_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert joined_team() == ALONE
