"""TARFlow: sizes, ways to draw, guidance, and what it refuses."""

from typing import Any

import pytest
import torch

from genmodels.errors import UserError
from genmodels.models import TARFlow
from genmodels.networks import CausalTransformer

TINY: dict[str, Any] = {"width": 8, "num_blocks": 3, "num_layers": 1, "head_width": 4}
CLASSES: dict[str, Any] = {"conditional": True, "num_classes": 3}


def _tiny(**settings: Any) -> TARFlow:
    torch.manual_seed(0)
    model = TARFlow((1, 4, 6), 17, **TINY | settings).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def _drawn(model: TARFlow, **how: Any) -> torch.Tensor:
    torch.manual_seed(1)
    return model.sample(6, torch.arange(6) % 3 if model.num_classes else None, temperature=0.5, **how)


@pytest.mark.parametrize(
    ("settings", "parameters"), [({}, 460_142_784), ({"conditional": True, "num_classes": 1000}, 466_286_784)]
)
def test_parameters_at_the_papers_size(settings: dict[str, Any], parameters: int) -> None:
    """As counted in the official code, on ImageNet 64x64; the latter is 8 x 1000 x 768 more."""
    with torch.device("meta"):
        model = TARFlow((3, 64, 64), 256, **settings)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize("noise", [None, 0.3])
@pytest.mark.parametrize("how", [{}, {"guidance": 1.5}])
def test_every_method_draws_the_same(how: dict[str, float], noise: float | None) -> None:
    model = _tiny(noise=noise, **CLASSES)
    cached, naive, jacobi = (_drawn(model, method=method, **how) for method in ("cached", "naive", "jacobi"))
    assert torch.equal(cached, naive)
    assert torch.equal(cached, jacobi)
    assert len(cached.unique()) > 5


@pytest.mark.parametrize(("method", "passes"), [("cached", 0), ("naive", 3 * 6), ("jacobi", None)])
def test_a_method_takes_its_number_of_whole_passes(method: str, passes: int | None) -> None:
    """Six patches, three blocks: for each patch of each block, or fewer until nothing changes."""
    model = _tiny()
    count = []
    for module in model.modules():
        if isinstance(module, CausalTransformer):
            module.register_forward_hook(lambda *_: count.append(1))
    _drawn(model, method=method)
    assert len(count) == passes if passes is not None else 3 * 2 <= len(count) <= 3 * 6


def test_samples_are_latents_decoded() -> None:
    model = _tiny(**CLASSES)
    torch.manual_seed(1)
    z = model.base.sample(6, 0.5)
    assert torch.equal(_drawn(model), model.decode(z, torch.arange(6) % 3))


def test_guidance_of_nought_is_none_and_more_moves_away() -> None:
    model = _tiny(**CLASSES)
    plain, nought, some, more = (_drawn(model, guidance=guidance) for guidance in (None, 0.0, 1.0, 2.0))
    assert torch.equal(plain, nought)
    assert not torch.equal(plain, some)
    assert not torch.equal(some, more)


def test_a_likelihood_of_noisy_pixels_says_so() -> None:
    assert _tiny().protocol == {}
    assert _tiny(noise=0.05).protocol == {"likelihood": "of pixels read off noisy ones, not of the denoised samples"}


@pytest.mark.parametrize(
    ("settings", "guidance", "sentence"),
    [
        ({}, 2.0, r"guidance=2 goes towards a class: train with model\.conditional=true"),
        (CLASSES | {"label_dropout": 0.0}, 2.0, r"train with model\.label_dropout=0\.1"),
        (CLASSES, -1.0, "guidance=-1 must be a number of 0 or more"),
        (CLASSES, float("nan"), "guidance=nan must be a number of 0 or more"),
    ],
)
def test_guidance_that_cannot_be_is_refused(settings: dict[str, Any], guidance: float, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        _tiny(**settings).sample(1, guidance=guidance)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"patch": 4}, r"patch=4 of tarflow does not cut images of 4x6 into two patches or more; these do: \[1, 2\]"),
        ({"width": 10}, "width=10 must be a multiple of model.head_width=4"),
        ({"patch": 0}, "patch must be at least 1"),
        ({"noise": 0.0}, "noise must lie between 0 and 1"),
        ({"label_dropout": 1.0}, "label_dropout must be at least 0 and below 1"),
        ({"conditional": True}, "needs data with classes"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        TARFlow((1, 4, 6), 17, **TINY | settings)


def test_one_patch_is_refused() -> None:
    with pytest.raises(UserError, match=r"patch=4 .* images of 4x4 .* these do: \[1, 2\]"):
        TARFlow((1, 4, 4), 17, **TINY, patch=4)
