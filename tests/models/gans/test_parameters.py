"""Parameter counts of the official codes, at the papers' sizes."""

from typing import Any

import pytest
import torch

from genmodels.models import DCGAN, SNGAN, WGAN, BigGAN, WGANGPResNet
from genmodels.models.gans.adversarial_model import AdversarialModel

CASES: dict[str, tuple[type[AdversarialModel], dict[str, Any], int, int]] = {
    "dcgan, torch example": (DCGAN, {"shape": (3, 64, 64)}, 3_576_704, 2_765_568),
    "wgan_gp": (WGAN, {}, 5_179_907, 4_114_689),
    "wgan, batch norm of 256 and 512 channels": (WGAN, {"critic_norm": "batch"}, 5_179_907, 4_114_689 + 2 * 768),
    "wgan_gp_resnet": (WGANGPResNet, {}, 1_204_483, 1_053_825),
    "sngan": (SNGAN, {}, 4_276_739, 1_053_825),
    "biggan, ch 64": (BigGAN, {"num_classes": 10}, 4_304_387, 4_207_361),
    "biggan, ch 96": (BigGAN, {"num_classes": 10, "width": 384}, 9_258_243, 9_456_769),
}


@pytest.mark.parametrize("case", CASES)
def test_parameters(case: str) -> None:
    make, options, of_generator, of_critic = CASES[case]
    with torch.device("meta"):
        model = make(**{"shape": (3, 32, 32), "levels": 256, **options})
    counts = [sum(p.numel() for p in net.parameters()) for net in (model.generator, model.discriminator)]
    assert counts == [of_generator, of_critic]


def test_classes_add_their_gains_biases_and_projections_to_sngan() -> None:
    """Six batch norms of 256 channels have ten gains and biases in place of one, and the critic ten vectors of 128."""
    plain, classed = (SNGAN((3, 32, 32), 256, conditional=conditional, num_classes=10) for conditional in (False, True))
    for part, more in (("generator", 6 * 2 * 256 * 9), ("discriminator", 10 * 128)):
        before, after = (sum(p.numel() for p in getattr(model, part).parameters()) for model in (plain, classed))
        assert after - before == more
