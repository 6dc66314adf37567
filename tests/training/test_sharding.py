"""What cannot be trained with weights in shares is refused before training; sums over shares are those of the whole."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Shard, init_device_mesh

from genmodels.config.compose import compose
from genmodels.errors import UserError
from genmodels.runs.fit import build_parts
from genmodels.training.sharding import as_sharded, local, of_shares, total_norm, whole

FSDP = ("trainer=fsdp", "trainer.accelerator=cpu", "trainer.devices=2")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["model=gan"], "trainer.strategy=fsdp is for models of one loss, and "),
        (["model=maf", "data=toy2d"], "MAF normalises by statistics of the whole set"),
        (["model=glow_small", "model.reversible=true"], "model.reversible=true recomputes layers"),
        (["compile=true"], "compile=true does not go with trainer.strategy=fsdp"),
    ],
)
def test_what_shares_do_not_go_with_is_refused(overrides: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        build_parts(compose([*overrides, *FSDP]))


@pytest.fixture
def sharded(tmp_path: Any) -> Iterator[Tensor]:
    """[5, 2], the only process's share of which is all."""
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield DTensor.from_local(torch.arange(10.0).view(5, 2), init_device_mesh("cpu", (1,)), [Shard(0)])
    torch.distributed.destroy_process_group()


def test_shares_and_wholes(sharded: Tensor) -> None:
    plain = torch.arange(10.0).view(5, 2)
    assert torch.equal(whole(sharded), plain)
    assert torch.equal(whole(as_sharded(plain + 1, sharded)), plain + 1)
    assert torch.equal(whole(of_shares(local(sharded) + 2, sharded)), plain + 2)
    assert as_sharded(torch.tensor(3.0), sharded) == 3.0
    assert local(plain) is whole(plain) is plain


def test_the_norm_is_that_of_all_gradients_together(sharded: Tensor) -> None:
    single = torch.tensor(7.0)
    expected = torch.nn.utils.get_total_norm([whole(sharded), single])
    torch.testing.assert_close(total_norm([sharded, single]), expected)
    torch.testing.assert_close(total_norm([whole(sharded), single]), expected)
