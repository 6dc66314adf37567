"""FFJORD: Free-form Continuous Dynamics for Scalable Reversible Generative Models (Grathwohl, Chen, Bettencourt,
Sutskever & Duvenaud, ICLR 2019, arXiv:1810.01367)."""

from collections.abc import Sequence

from genmodels.bijections import Bijection, Compose, Continuous, FactorOut, Logit, Solver, Squeezed
from genmodels.bijections.continuous import TraceName
from genmodels.distributions import Dequantization
from genmodels.models.data_checks import image_shape
from genmodels.models.flows.continuous_flow import ContinuousFlow, integrations
from genmodels.models.scales import scales_for
from genmodels.networks import ConvField, Field
from genmodels.ranges import at_least, between


class FFJORD(ContinuousFlow):
    """FFJORD's model of images: continuous bijections at several scales (Section 4.2; `ODENVP` of the official code).

        scale:       num_blocks bijections -> squeeze -> num_blocks bijections -> half of the channels leave
        last scale:  num_blocks bijections
        bijection:   dz/dt = f(t, z) from 0 to T,   f = 3x3 convolutions that see t, T learned

    A logit in front. Scales go on while the sides have four pixels; with 1x28x28 three, 800,646 parameters, with
    3x32x32 four, 1,358,882, both as the official code has them. Of vectors: `CNF`. Deviation: the last step of
    a solver lands on T itself, where the code takes torchdiffeq's interpolation there.

    Args:
        shape: (C, H, W).
        levels: number of pixel values, x in 0 .. levels - 1.
        num_scales: None for as many as there are four pixels to a side.
        max_scales: no more than these, where `num_scales` is None.
        num_blocks: bijections before and after each squeeze.
        field: the network f of each; four layers of 64 channels unless given.
        end_time: T at the start.
        learn_end_time: whether it is learned; RNODE's is not.
        alpha: of the logit: 1e-6 for MNIST, 0.05 for CIFAR-10.
        solver: of the differential equations; dopri5 at 1e-5 unless given.
        trace: in training: "exact", or Hutchinson's estimate by random signs, "rademacher", or noise, "gaussian".
        evaluation_solver: as `solver` unless given.
        evaluation_trace: as `trace` unless given.
        evaluation_probes: noise vectors that an estimate in evaluation averages.
        dequantization: of the pixels; uniform unless given.
    Raises:
        UserError: a number is out of its range, or sides that cannot be halved so often.
    """

    takes = frozenset(("images",))

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        num_scales: int | None = None,
        max_scales: int | None = None,
        num_blocks: int = 2,
        field: Field | None = None,
        end_time: float = 1.0,
        learn_end_time: bool = True,
        alpha: float = 1e-6,
        solver: Solver | None = None,
        trace: TraceName = "rademacher",
        evaluation_solver: Solver | None = None,
        evaluation_trace: TraceName | None = None,
        evaluation_probes: int = 1,
        dequantization: Dequantization | None = None,
    ) -> None:
        at_least(1, num_scales=num_scales, max_scales=max_scales, num_blocks=num_blocks)
        at_least(1e-3, end_time=end_time)
        between(0.0, 0.5, alpha=alpha)
        image = image_shape("ffjord", shape)
        as_in_paper = max(1, min(image[1:]).bit_length() - 2)
        wished = as_in_paper if max_scales is None else min(as_in_paper, max_scales)
        scales = scales_for("ffjord", shape, num_scales, wished, last_squeezes=False)
        how = integrations(image, solver or Solver(), trace, evaluation_solver, evaluation_trace, evaluation_probes)
        network = field or ConvField()

        def blocks(*shape: int) -> list[Bijection]:
            return [Continuous(network.network(shape), *how, end_time, learn_end_time) for _ in range(num_blocks)]

        def scale(channels: int, height: int, width: int, remaining: int) -> Bijection:
            here = blocks(channels, height, width)
            if remaining == 1:
                return Compose(here)
            squeezed = (height // 2, width // 2)
            rest = FactorOut(scale(2 * channels, *squeezed, remaining - 1))
            return Compose([*here, Squeezed(Compose([*blocks(4 * channels, *squeezed), rest]))])

        super().__init__(Compose([Logit(alpha), scale(*image, scales)]), image, levels, dequantization=dequantization)
        self.chosen = {"num_scales": scales} if num_scales is None else {}
