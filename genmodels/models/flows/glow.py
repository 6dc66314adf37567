"""Glow: Generative Flow with Invertible 1x1 Convolutions (Kingma & Dhariwal, NeurIPS 2018, arXiv:1807.03039)."""

from collections.abc import Sequence
from typing import Literal

from genmodels.bijections import (
    ActNorm,
    ActNormConv1x1,
    Additive,
    Bijection,
    Compose,
    Coupling,
    FactorOut,
    LearnedTopPrior,
    Reverse,
    Shift,
    Shuffle,
    SigmoidAffine,
    Squeezed,
)
from genmodels.distributions import Dequantization
from genmodels.errors import UserError
from genmodels.models.data_checks import conditional_classes, image_shape
from genmodels.models.flows.flow import Flow
from genmodels.models.flows.glow_net import GlowNet
from genmodels.models.scales import scales_for
from genmodels.networks.conv import ZeroConv2d
from genmodels.ranges import at_least


class Glow(Flow):
    """L scales of K steps of flow; a step is actnorm -> invertible 1x1 convolution -> coupling (Table 1, Figure 2).

        scale l:   squeeze -> K steps -> split: one half is factored out with a learned prior, the other goes on
        scale L:   squeeze -> K steps -> learned top prior

    With L = 3, K = 32, width 512, edge=True on 3x32x32 it has 44,603,604 parameters, as many as the official code.

    Deviations from the official code: the 1x1 convolution in LU form by default (Equation (10); `conv1x1="full"` is
    what its released runs used), and shift and scale of a coupling from the two halves of the network's output
    instead of every second channel. The classifier term of its class-conditional loss is not part of a density and is
    absent.

    Args:
        shape: (C, H, W) of even sides.
        levels: number of pixel values, x in 0 .. levels - 1.
        num_scales: L; None for a last latent of 4x4, as the paper has it for every size of its images (3 for 32x32, 4
            for 64x64); 2 for smaller images, and fewer where the sides cannot be halved so often.
        num_steps: K.
        width: hidden channels of the coupling networks.
        coupling: "affine" or "additive".
        permutation: "conv1x1" learned, or fixed "reverse" or "shuffle" (Figure 3's ablation).
        conv1x1: "lu" or "full".
        learn_top: learn mean and scale of the last latent.
        edge: edge-indicator channel in the 3x3 convolutions.
        conditional: give each of `num_classes` classes its own top prior.
        dequantization: of the pixels; uniform unless given.
        max_scales: no more than these, where `num_scales` is None.
        reversible: recompute activations in the backward pass instead of keeping them, see `Flow`.
    Raises:
        UserError: a number below 1, a shape that L cannot divide, no classes to condition on, or a class-conditional
            model whose top prior is not learned.
    """

    takes = frozenset(("images",))

    not_compiled = "the compiler needs more than seven minutes of CPU time for a small one"

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        num_scales: int | None = None,
        num_steps: int = 32,
        width: int = 512,
        coupling: Literal["affine", "additive"] = "affine",
        permutation: Literal["conv1x1", "reverse", "shuffle"] = "conv1x1",
        conv1x1: Literal["lu", "full"] = "lu",
        learn_top: bool = True,
        edge: bool = True,
        conditional: bool = False,
        num_classes: int | None = None,
        dequantization: Dequantization | None = None,
        max_scales: int | None = None,
        reversible: bool = False,
    ) -> None:
        at_least(1, num_scales=num_scales, num_steps=num_steps, width=width, max_scales=max_scales)
        channels, *sides = image_shape("glow", shape)
        as_in_paper = max(2, min(sides).bit_length() - 3)
        wished = as_in_paper if max_scales is None else min(as_in_paper, max_scales)
        scales = scales_for("glow", shape, num_scales, wished, last_squeezes=True)
        if conditional and not learn_top:
            raise UserError("model.conditional=true acts through the top prior and needs model.learn_top=true.")
        classes = conditional_classes(conditional, num_classes)

        def step(channels: int) -> Bijection:
            elementwise = SigmoidAffine() if coupling == "affine" else Additive()
            outputs = elementwise.num_parameters * channels // 2
            net = GlowNet(channels // 2, outputs, width, edge)
            return Compose([_mixing(permutation, conv1x1, channels), Coupling(net, elementwise)])

        def flow(channels: int, remaining: int) -> Bijection:
            steps = [step(4 * channels) for _ in range(num_steps)]
            if remaining == 1:
                top = [LearnedTopPrior(4 * channels, classes, edge)] if learn_top else []
                return Squeezed(Compose([*steps, *top]))
            rest = flow(2 * channels, remaining - 1)
            split_prior = ZeroConv2d(2 * channels, 4 * channels, edge=edge)
            return Squeezed(Compose([*steps, FactorOut(rest, split_prior)]))

        bijection = Compose([Shift(-0.5), flow(channels, scales)])
        super().__init__(bijection, shape, levels, classes, dequantization=dequantization, reversible=reversible)
        self.chosen = {"num_scales": scales} if num_scales is None else {}


def _mixing(permutation: str, conv1x1: str, channels: int) -> Bijection:
    """Actnorm and the permutation of a step."""
    if permutation == "conv1x1":
        return ActNormConv1x1(channels, lu=conv1x1 == "lu")
    fixed = Reverse(channels) if permutation == "reverse" else Shuffle(channels)
    return Compose([ActNorm(channels), fixed])
