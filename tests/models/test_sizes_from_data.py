"""Every model of images meets every image set that it can fit, by sizes that it takes from the data."""

from typing import Any

import pytest
import torch
from model_configs import DATA, MODELS, data_node, model_node

from genmodels import models
from genmodels.config.targets import build
from genmodels.distributions import Categorical
from genmodels.errors import UserError
from genmodels.models import FlowPP, Glow, IRevNet, Model, MultiscalePixelCNN, PixelCNNPP, RealNVP

FOLDERS = [f"image_folder data.size={size}" for size in (33, 48, 50)]
IMAGES = {
    (tuple(node["shape"]), node["levels"]): name
    for name in [*DATA, *FOLDERS]
    if (node := data_node(name))["levels"] is not None
}
OF_VECTORS = {"gmm", "planar", "radial"}
OF_CLASSES = {"biggan", "biggan_small", "cyclegan", "cyclegan_small"}
FIELDS_OF_IMAGES = {"cnf", "cnf_small"}  # the model takes vectors too, by model/field=mlp
# How deep a model is makes no difference to what it fits; these check their orders, which takes real tensors.
SHALLOW = {"num_steps": 1, "num_blocks": 1, "num_layers": 1, "num_resnets": 1, "base_layers": 1}
ON_CPU = {"iaf", "made", "maf", "maf_mog", "nice", "nice_small"}

CANNOT = {
    **{
        (f"stylegan2{end}", (3, side, side)): f"stops at {odd}x{odd}"
        for end in ("", "_small")
        for side, odd in ((33, 33), (50, 25))
    },
    **{(f"cyclegan{end}", (3, side, side)): "sides that 4 divides" for end in ("", "_small") for side in (33, 50)},
    **{(name, (3, 33, 33)): "even width, not 33" for name in ("flowpp", "flowpp_small")},
    **{
        (f"{name}{end}", (3, 33, 33)): "33x33 cannot be halved"
        for name in ("glow", "dcgan", "wgan_gp_resnet", "sngan", "biggan", "iresnet", "irevnet")
        for end in ("", "_small")
    },
    **{(f"tarflow{end}", (3, 33, 33)): "does not cut images of 33x33" for end in ("", "_small")},
    **{(f"multiscale_pixelcnn{end}", (3, 33, 33)): "33 is odd" for end in ("", "_small")},
    **{
        (f"made_image{end}", (3, side, side)): "made_image would have .* weights"
        for end in ("", "_small")
        for side in (32, 33, 48, 50, 64)
    },
    ("made_image", (1, 28, 28), 256): "made_image would have .* weights",
}


def _build(name: str, data: dict[str, Any]) -> Model:
    node = model_node(name, data)
    smaller = {"width": 8} if name in ON_CPU else {}
    for key in (SHALLOW | smaller).keys() & node.keys():
        value = (SHALLOW | smaller)[key]
        node[key] = [value] * len(node[key]) if isinstance(node[key], list) else value
    with torch.device("cpu" if name in ON_CPU else "meta"):
        return build(node, "model")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_builds_on_every_image_set_or_says_why_not(name: str) -> None:
    for (shape, levels), data in IMAGES.items():
        reason = CANNOT.get((name, shape)) or CANNOT.get((name, shape, levels))
        if name in OF_VECTORS:
            reason = "needs vectors"
        if name in OF_CLASSES and data_node(data)["num_classes"] is None:
            reason = reason or "classes"
        if reason is None:
            model = _build(name, data_node(data))
            assert (model.shape, model.levels) == (shape, levels), data
            assert "images" in model.takes
        else:
            with pytest.raises(UserError, match=reason) as error:
                _build(name, data_node(data))
            assert "\n" not in str(error.value), data


@pytest.mark.parametrize("name", MODELS)
def test_a_model_takes_the_vectors_that_it_says_it_takes(name: str) -> None:
    class_ = getattr(models, model_node(name, data_node("toy2d"))["_target_"].rpartition(".")[2])
    if "vectors" in class_.takes and name not in FIELDS_OF_IMAGES:
        assert _build(name, data_node("toy2d")).shape == (2,)
        return
    with pytest.raises(UserError, match="needs images"):
        _build(name, data_node("toy2d"))


@pytest.mark.parametrize(
    ("name", "data", "chosen"),
    [
        ("glow", "cifar10", {"num_scales": 3}),
        ("glow", "celeba", {"num_scales": 4}),
        ("glow", "mnist", {"num_scales": 2}),
        ("glow", "digits", {"num_scales": 2}),
        ("glow", "image_folder data.size=48", {"num_scales": 3}),
        ("glow", "image_folder data.size=50", {"num_scales": 1}),
        ("glow", "image_folder data.size=128", {"num_scales": 5}),
        ("glow", "image_folder data.size=256", {"num_scales": 6}),
        ("glow_small", "cifar10", {"num_scales": 2}),
        ("glow_small", "image_folder data.size=50", {"num_scales": 1}),
        ("realnvp", "cifar10", {"num_scales": 2}),
        ("realnvp", "image_folder data.size=33", {"num_scales": 1}),
        ("iresnet", "cifar10", {"num_scales": 3}),
        ("iresnet", "mnist", {"num_scales": 2}),
        ("iresnet", "toy2d", {}),
        ("irevnet", "cifar10", {"strides": [2, 2, 2, 2]}),
        ("irevnet", "mnist", {"strides": [2, 1, 1, 1]}),
        ("irevnet_small", "digits", {"strides": [2, 2]}),
        ("residual_flow", "cifar10", {"num_scales": 3}),
        ("residual_flow", "mnist", {"num_scales": 3}),
        ("residual_flow", "image_folder data.size=33", {"num_scales": 1}),
        ("residual_flow", "toy2d", {}),
        ("multiscale_pixelcnn", "cifar10", {"base": 4}),
        ("multiscale_pixelcnn", "mnist", {"base": 7}),
        ("multiscale_pixelcnn", "image_folder data.size=48", {"base": 3}),
        ("flowpp", "cifar10", {"layout": ["4 columns", "squeeze", "2 channels", "3 columns"]}),
        ("flowpp", "image_folder data.size=50", {"layout": ["4 columns", "squeeze", "2 channels", "3 channels"]}),
        ("pixelcnnpp", "mnist", {"num_halvings": 2}),
        ("pixelcnnpp", "image_folder data.size=50", {"num_halvings": 1}),
        ("pixelcnnpp", "image_folder data.size=33", {"num_halvings": 0}),
        ("gpt", "mnist", {}),
        ("dcgan", "cifar10", {"num_scales": 3}),
        ("dcgan", "celeba", {"num_scales": 4}),
        ("sngan", "cifar10", {"num_scales": 3}),
        ("sngan", "mnist", {"num_scales": 2}),
        ("biggan", "digits", {"num_scales": 1}),
        ("wgan_gp_resnet", "image_folder data.size=50", {"num_scales": 1}),
        ("ffjord", "mnist", {"num_scales": 3}),
        ("ffjord", "cifar10", {"num_scales": 4}),
        ("ffjord", "digits", {"num_scales": 2}),
        ("ffjord", "image_folder data.size=50", {"num_scales": 2}),
        ("ffjord_small", "cifar10", {"num_scales": 2}),
    ],
)
def test_what_is_chosen_is_the_papers_where_that_fits(name: str, data: str, chosen: dict[str, Any]) -> None:
    assert _build(name, data_node(data)).chosen == chosen


def test_what_the_user_sets_is_not_chosen() -> None:
    assert Glow((1, 8, 8), 17, num_scales=1, num_steps=1, width=4, max_scales=3).chosen == {}
    assert RealNVP((1, 8, 8), 17, num_scales=1, width=4, num_blocks=1).chosen == {}
    digits = Categorical((1, 8, 8), 17)
    assert MultiscalePixelCNN((1, 8, 8), digits, base=2, base_layers=1, num_blocks=1, width=4).chosen == {}
    assert IRevNet((1, 8, 8), 17, (1, 1), (2, 1)).chosen == {}
    assert PixelCNNPP((1, 8, 8), digits, num_resnets=1, width=4, num_halvings=1).chosen == {}
    assert FlowPP((1, 8, 8), 17, ["1 columns"], width=4, num_blocks=1).chosen == {}


def test_the_first_batch_is_that_of_glows_code_and_smaller_for_the_large_autoregressive_models() -> None:
    assert (Glow.init_batch_size, FlowPP.init_batch_size) == (256, 256)
    assert PixelCNNPP.init_batch_size == 64


def test_a_size_that_the_user_sets_and_that_does_not_fit_is_refused_with_one_that_does() -> None:
    with pytest.raises(UserError, match=r"28x28 cannot be halved model\.num_halvings=3 times: set it to 2"):
        PixelCNNPP((1, 28, 28), Categorical((1, 28, 28), 17), num_halvings=3)


@pytest.mark.parametrize("halvings", [0, 1])
def test_a_pixelcnnpp_of_fewer_scales_still_looks_at_earlier_pixels_alone(halvings: int) -> None:
    torch.manual_seed(0)
    model = PixelCNNPP((1, 2, 2), Categorical((1, 2, 2), 2), 1, 4, 0.0, num_halvings=halvings).double().eval()
    every = torch.cartesian_prod(*[torch.arange(2)] * 4).view(-1, 1, 2, 2)
    assert float(model.log_prob(every).exp().sum().detach()) == pytest.approx(1.0, abs=1e-9)
    noise = torch.rand(3, 1, 2, 2, dtype=torch.double)
    naive, cached = (model.sample(3, noise=noise, method=method) for method in ("naive", "cached"))
    assert torch.equal(naive, cached)
