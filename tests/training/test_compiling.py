"""Which parts of a model are compiled, and that it stays the same model."""

import pytest
import torch
from torch import nn

from genmodels.config.compose import compose
from genmodels.errors import UserError
from genmodels.models import NICE, Glow
from genmodels.models.flows.glow_net import GlowNet
from genmodels.networks.data_init import initialize
from genmodels.runs.fit import build_parts
from genmodels.training.compiling import _largest_repeated, compile_parts


def test_a_deep_flow_is_compiled_step_by_step() -> None:
    flow = Glow((3, 8, 8), 256, num_scales=2, num_steps=3, width=8)
    parts = _largest_repeated(flow)
    inside = [module for part in parts for module in part.modules()]
    assert len(inside) == len(set(map(id, inside)))
    nets = [module for module in flow.modules() if isinstance(module, GlowNet)]
    assert len(nets) == 6
    assert all(sum(net in part.modules() for part in parts) == 1 for net in nets)
    assert len(parts) >= 6


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("gated_pixelcnn_small", "compile=true is not for GatedPixelCNN: its _Layer is not called as a whole"),
        ("iaf_vae_small", "compile=true is not for IAFVAE: its Block is not called as a whole"),
        ("glow_small", "compile=true is not for Glow: "),
    ],
)
def test_what_compiling_would_not_help_is_refused(model: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        build_parts(compose([f"model={model}", "compile=true"]))


@pytest.mark.parametrize("model", ["pixelcnnpp_small", "pixelcnn_small", "gpt_small", "vae_small"])
def test_what_is_compiled_is_called(model: str) -> None:
    """Lists of blocks, and distributions that are asked by their methods, would be compiled for nothing."""
    built = build_parts(compose([f"model={model}", "compile=true"])).module.model
    called: set[nn.Module] = set()
    for module in built.modules():
        module.register_forward_hook(lambda module, inputs, output: called.add(module))
    x = torch.randint(17, (4, 1, 8, 8), dtype=torch.uint8)
    initialize(built, lambda: built.log_prob(x))
    built.log_prob(x)
    compiled = [part for part in _largest_repeated(built) if part in called]
    weights = sum(p.numel() for part in compiled for p in part.parameters())
    assert weights > 0.5 * sum(p.numel() for p in built.parameters())


@pytest.mark.slow
def test_compiled_parts_leave_density_gradient_and_names_alone() -> None:
    x = torch.arange(32 * 64).remainder(17).view(32, 1, 8, 8).to(torch.uint8)
    results = []
    for compiled in (False, True):
        torch.manual_seed(0)
        flow = NICE((1, 8, 8), 17, width=16, num_hidden=1, prior="normal")
        if compiled:
            assert compile_parts(flow) > 0
        torch.manual_seed(1)
        log_prob = flow.log_prob(x)
        log_prob.mean().backward()
        gradients = {name: parameter.grad for name, parameter in flow.named_parameters()}
        results.append((log_prob.detach(), gradients, sorted(flow.state_dict())))
    assert results[0][2] == results[1][2]
    torch.testing.assert_close(results[0][:2], results[1][:2])
