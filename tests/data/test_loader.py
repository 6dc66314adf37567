import itertools
import multiprocessing
import subprocess
from pathlib import Path

import pytest
import torch
from tiny_files import write_pictures

from genmodels.data import BatchLoader, EpochSampler, Examples
from genmodels.data.augment import Augmentation
from genmodels.data.examples import ImageFiles
from genmodels.data.sources.image_folder import CentreCrop
from genmodels.errors import UserError


def order(sampler: EpochSampler, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return torch.cat(list(sampler)).tolist()


def images(count: int = 40) -> Examples:
    x = torch.randint(256, (count, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return Examples(x, torch.arange(count))


def training_loader(examples: Examples, **options: int) -> BatchLoader:
    sampler = EpochSampler(len(examples), 4, seed=5, shuffle=True)
    return BatchLoader(examples, sampler, Augmentation(flip=True, shift=0.3, grey_levels=256), **options)


def test_an_epoch_visits_every_example_once():
    sampler = EpochSampler(40, 4, seed=1, shuffle=True)
    assert sorted(order(sampler, 0)) == list(range(40))
    assert sorted(order(EpochSampler(10, 3, shuffle=False), 0)) == list(range(10))


def test_training_leaves_out_the_partial_batch_and_evaluation_keeps_it():
    training, evaluation = EpochSampler(10, 4, shuffle=True), EpochSampler(10, 4, shuffle=False)
    assert [len(batch) for batch in training] == [4, 4]
    assert [len(batch) for batch in evaluation] == [4, 4, 2]
    assert (len(training), len(evaluation)) == (2, 3)


def test_the_order_is_a_function_of_seed_and_epoch():
    first, again, other = (EpochSampler(40, 4, seed=seed, shuffle=True) for seed in (1, 1, 2))
    order(first, 0)
    assert order(first, 3) == order(again, 3)  # whatever was iterated over before
    assert order(first, 3) != order(first, 4)
    assert order(first, 3) != order(other, 3)


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_each_batch_of_the_single_process_run(world_size: int):
    single = EpochSampler(40, 6, seed=1, shuffle=True)
    ranks = [
        EpochSampler(40, 6 // world_size, seed=1, rank=rank, world_size=world_size, shuffle=True)
        for rank in range(world_size)
    ]
    assert {len(sampler) for sampler in ranks} == {len(single)}
    for whole, *shares in zip(single, *ranks, strict=True):
        assert sorted(torch.cat(shares).tolist()) == sorted(whole.tolist())


def test_ranks_part_the_evaluation_images_without_duplicates():
    ranks = [EpochSampler(11, 2, rank=rank, world_size=3, shuffle=False) for rank in range(3)]
    shares = [order(sampler, 0) for sampler in ranks]
    assert sorted(itertools.chain(*shares)) == list(range(11))
    assert shares[1] == [1, 4, 7, 10]
    assert [len(list(sampler)) for sampler in ranks] == [len(sampler) for sampler in ranks]


@pytest.mark.parametrize("skip", [1, 4, 9])
def test_a_resumed_epoch_continues_exactly_with_its_augmentation(skip: int):
    whole, resumed = training_loader(images()), training_loader(images())
    whole.sampler.set_epoch(7)
    expected = list(whole)[skip:]
    resumed.sampler.set_epoch(7)
    resumed.sampler.skip = skip
    got = list(resumed)
    assert len(got) == len(expected) == 10 - skip
    for (x, y), (expected_x, expected_y) in zip(got, expected, strict=True):
        assert torch.equal(x, expected_x)
        assert torch.equal(y, expected_y)


def test_skipping_is_for_one_iteration_only_and_leaves_the_length_alone():
    loader = training_loader(images())
    loader.sampler.skip = 3
    assert len(loader) == 10
    assert len(list(loader)) == 7
    assert len(list(loader)) == 10


def test_augmentation_differs_between_seeds_epochs_batches_and_ranks():
    same = Examples(torch.full((8, 1, 8, 8), 128, dtype=torch.uint8))
    noise = Augmentation(grey_levels=256)

    def batches(rank: int, epoch: int, seed: int = 0) -> list[torch.Tensor]:
        sampler = EpochSampler(8, 2, seed=seed, rank=rank, world_size=2, shuffle=True)
        sampler.set_epoch(epoch)
        return [x for x, _ in BatchLoader(same, sampler, noise)]

    drawn = [*batches(0, 0), *batches(1, 0), *batches(0, 1), *batches(0, 0, seed=1)]
    for one, other in itertools.combinations(drawn, 2):
        assert not torch.equal(one, other)


@pytest.mark.parametrize("skip", [0, 3])
def test_workers_change_nothing(tmp_path, skip: int):
    write_pictures(tmp_path)
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    examples = Examples(ImageFiles(str(tmp_path), names, CentreCrop((8, 8), 3)), torch.arange(20))
    inline, workers = training_loader(examples), training_loader(examples, num_workers=2)
    for epoch in (2, 3):
        for loader in (inline, workers):
            loader.sampler.set_epoch(epoch)
            loader.sampler.skip = skip
        pairs = list(zip(inline, workers, strict=True))
        assert len(pairs) == 5 - skip
        for (x, y), (worker_x, worker_y) in pairs:
            assert torch.equal(x, worker_x)
            assert torch.equal(y, worker_y)


def test_workers_leave_signals_to_the_training(tmp_path: Path) -> None:
    """SLURM sends them to every process of a job."""
    write_pictures(tmp_path)
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    loader = training_loader(Examples(ImageFiles(str(tmp_path), names, CentreCrop((8, 8), 3))), num_workers=1)
    batches = iter(loader)
    next(batches)
    (worker,) = multiprocessing.active_children()
    for name in ("TERM", "USR1"):
        subprocess.run(["kill", f"-{name}", str(worker.pid)], check=True)
    assert len(list(batches)) == len(loader) - 1
    worker.terminate()  # by the training itself, as at its end
    worker.join(timeout=20)
    assert worker.exitcode == 0


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_damaged_picture_is_one_sentence_also_from_a_worker(tmp_path, num_workers: int):
    write_pictures(tmp_path)
    broken = tmp_path / "cats" / "1.png"
    broken.write_bytes(broken.read_bytes()[:200])
    examples = Examples(ImageFiles(str(tmp_path), ["cats/1.png"] * 4, CentreCrop((8, 8), 3)))
    with pytest.raises(UserError) as error:
        list(training_loader(examples, num_workers=num_workers))
    message = str(error.value)
    assert message.startswith(f"The picture {broken} cannot be read")
    assert "\n" not in message
