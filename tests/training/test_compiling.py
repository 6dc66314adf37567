"""Which parts of a model are compiled, and that it stays the same model."""

import pytest
import torch

from genmodels.models import NICE, Glow
from genmodels.models.flows.glow_net import GlowNet
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
