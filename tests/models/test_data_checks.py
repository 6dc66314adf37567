"""Every model refuses what is not the data that it is made for, in one sentence, and takes what is."""

import functools
import math
from typing import Any

import numpy as np
import pytest
import torch
from model_configs import MODELS, data_node, model_node
from torch import Tensor, nn

from genmodels.config.targets import build
from genmodels.errors import UserError
from genmodels.models import Model
from genmodels.models.capabilities import offered
from genmodels.models.contract import Decodes, Density, Latent, LatentSampler

BASES = {name.removesuffix("_small") for name in MODELS}
SMALL = sorted(f"{base}_small" if f"{base}_small" in MODELS else base for base in BASES)


@functools.cache
def made(name: str, conditional: bool = False) -> Model | None:
    """The model on digits or, if it takes vectors alone, on points; None if that is not for it."""
    for data in (data_node("digits"), data_node("toy2d")):
        node = model_node(name, data)
        if conditional and "conditional" not in node:
            return None
        try:
            torch.manual_seed(0)
            return build(node | ({"conditional": True} if conditional else {}), "model").eval()
        except UserError:
            continue
    return None


def data_of(model: Model, rows: int = 3) -> Tensor:
    if model.levels is None:
        return torch.randn(rows, *model.shape)
    return torch.randint(model.levels, (rows, *model.shape), dtype=torch.uint8)


def methods(model: Model) -> list[str]:
    names = [("log_prob", Density), ("encode", Latent)]
    return [name for name, capability in names if offered(model, capability) is not None]


@pytest.mark.parametrize("name", SMALL)
def test_what_is_no_data_is_refused(name: str) -> None:
    model = made(name)
    if model is None or not methods(model):
        pytest.skip("not for this data, or takes none")
    x = data_of(model)
    wrong = [x[0], x[..., :1], torch.cat([x, x], dim=1), x.flatten(1)[:, :, None], x.numpy(), x.bool()]
    if model.levels is None:
        wrong += [x.long()]
    else:
        wrong += [x / 255.0, x.double(), x.float(), torch.full_like(x, model.levels), x.long() - 1000]
    for bad in wrong:
        for method in methods(model):
            with pytest.raises(UserError, match=r"^\w+ takes ") as caught:
                getattr(model, method)(bad)
            assert "\n" not in str(caught.value)
    for method in methods(model):
        with pytest.raises(UserError, match="takes a label for each of 3 examples"):
            getattr(model, method)(x, torch.zeros(2, dtype=torch.long))


@pytest.mark.parametrize("name", SMALL)
def test_what_is_no_label_is_refused(name: str) -> None:
    model = made(name, conditional=True)
    if model is None or not methods(model) or not model.num_classes:
        pytest.skip("cannot be class-conditional")
    x, y = data_of(model), torch.tensor([0, 1, 9])
    for bad in (y + 1, y - 1, y.float(), y.to(torch.uint8), y[:2], y[:, None], torch.cat([y, y])):
        for method in methods(model):
            with pytest.raises(UserError, match=r"^\w+ takes (a label|labels|y) "):
                getattr(model, method)(x, bad)
    assert model.log_prob(x, y).shape == (3,)


@pytest.mark.parametrize("name", SMALL)
def test_data_is_taken(name: str) -> None:
    model = made(name)
    if model is None or not methods(model):
        pytest.skip("not for this data, or takes none")
    x = data_of(model)
    kinds = [x, x.long(), x.int()] if model.levels is not None else [x, x.double()]
    for fitting in kinds:
        assert model.log_prob(fitting).shape == (3,)
    assert model.log_prob(x, torch.zeros(3, dtype=torch.long)).shape == (3,)  # labels that it does not need


@pytest.mark.parametrize("name", SMALL)
def test_latents_of_another_shape_are_not_decoded(name: str) -> None:
    model = made(name)
    if model is None or (decodes := offered(model, Decodes)) is None:
        pytest.skip("it decodes nothing")
    latents, sampler = offered(model, Latent), offered(model, LatentSampler)
    x = torch.zeros(2, *model.shape, dtype=torch.uint8 if model.levels else torch.float32)
    y = torch.zeros(2, dtype=torch.int64) if model.num_classes else None
    assert latents is not None or sampler is not None
    z = latents.encode(x, y) if latents is not None else sampler.latents(2)
    assert model.latent_shape == tuple(z.shape[1:])
    assert decodes.decode(z, y).shape == x.shape
    for wrong in (z[:0], z[0], z.sum(), z.long(), torch.cat((z, z), dim=-1), z[..., None]):
        told = rf"{type(model).__name__} decodes floats of shape \[B, .*\], and z is of (float|int).* and shape \["
        with pytest.raises(UserError, match=told):
            decodes.decode(wrong, y)
    with pytest.raises(UserError, match="takes tensors, and z is a list"):
        decodes.decode(z.tolist(), y)
    if sampler is not None:
        with pytest.raises(UserError, match="draws a whole number of samples from 1 on, and n is 0"):
            sampler.latents(0)
        with pytest.raises(UserError, match="decodes floats of shape"):
            model.generate(z[:, 1:], y)


class Theirs(Model):
    """A user's own, whose log_prob says nothing of what it is given."""

    exact = True

    def __init__(self) -> None:
        super().__init__()
        self.shape, self.levels, self.num_classes = (1, 2, 2), 4, 3
        self.logits = nn.Parameter(torch.zeros(4))

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return -x.float().flatten(1).sum(dim=1)

    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return torch.zeros(n, *self.shape, dtype=torch.uint8)


class Derived(Theirs):
    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return 2 * super().log_prob(x, y=y)


@pytest.mark.parametrize("kind", [Theirs, Derived])
def test_a_users_own_model_is_held_to_the_same(kind: type[Model]) -> None:
    model, x, y = kind(), torch.ones(2, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 2])
    assert model.log_prob(x, y=y).shape == (2,)
    cases = [
        (x / 3, y, "takes integers 0 to 3 of shape [B, 1, 2, 2], and x is of float32 and shape [2, 1, 2, 2]"),
        (x + 3, y, "takes x from 0 to 3, and it goes from 4 to 4"),
        (x[0], y, "and x is of uint8 and shape [1, 2, 2]"),
        (x[0, 0, 0, 0], y, "and x is of uint8 and shape []"),
        (x[:0], y[:0], "takes one example or more, and x holds none"),
        (x, y + 1, "takes y from 0 to 2, and it goes from 1 to 3"),
        (x, y.float(), "takes labels of int64, and y is of float32"),
    ]
    for bad_x, bad_y, told in cases:
        with pytest.raises(UserError) as caught:
            model.log_prob(bad_x, y=bad_y)
        assert str(caught.value).startswith(kind.__name__)
        assert told in str(caught.value)


@pytest.mark.parametrize("kind", [Theirs, Derived])
def test_what_no_model_can_draw_is_told(kind: type[Model]) -> None:
    model, y = kind(), torch.tensor([0, 2])
    assert len(model.sample(n=2, y=y, temperature=0)) == len(model.sample(np.int64(2), y, 0.5)) == 2
    cases: list[tuple[Any, Any, float, str]] = [
        (0, None, 1.0, "draws a whole number of samples from 1 on, and n is 0"),
        (2.0, None, 1.0, "and n is 2.0"),
        (True, None, 1.0, "and n is True"),
        (3, y, 1.0, "takes a label for each of 3 samples, and y is of shape [2]"),
        (2, y + 1, 1.0, "takes y from 0 to 2, and it goes from 1 to 3"),
        (2, [0, 2], 1.0, "takes tensors, and y is a list"),
        (2, y, -1.0, "draws at a temperature from 0 on, and it is -1.0"),
        (2, y, math.nan, "and it is nan"),
        (2, y, math.inf, "and it is inf"),
    ]
    for n, bad_y, temperature, told in cases:
        with pytest.raises(UserError) as caught:
            model.sample(n, bad_y, temperature=temperature)
        assert str(caught.value).startswith(kind.__name__)
        assert told in str(caught.value)


def test_the_check_compiles() -> None:
    model = Theirs()
    x, y = torch.ones(2, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 2])
    compiled = torch.compile(model.log_prob, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x, y), model.log_prob(x, y))
