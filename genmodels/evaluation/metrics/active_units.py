"""How many latents a variational autoencoder uses (Burda, Grosse & Salakhutdinov 2016, Section 5.2 and Appendix C)."""

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.metrics.figure import Figure
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.models.capabilities import required
from genmodels.models.contract import LatentVariables
from genmodels.randomness import seed_for, seeded

_THRESHOLD = 0.01
_DRAWS = 64


class ActiveUnits(Metric):
    """The number of latents whose posterior mean depends on x: Var_x(E_q[z | x]) > 0.01.

    The expectation is a mean over 64 draws. Their variance / 64 is what the variance over x of such means has too
    much, and is taken off, so that the variances are unbiased. `parts`: how many there are, and how many are active in
    each layer where there are several, in the model's order of layers.
    """

    name = "active_units"
    is_cheap = False
    needs = (LatentVariables,)

    @torch.no_grad()
    def measure(self, trained: Trained) -> Figure:
        model = required(trained.model, LatentVariables, "metrics=[active_units]")
        layers: list[_Spread] = []
        with seeded(seed_for("active units", trained.seed), trained.device):
            for x, y in trained.examples(_DRAWS):
                latents = model.terms(x, y, _DRAWS).latents
                layers = layers or [_Spread() for _ in latents]
                for layer, z in zip(layers, latents, strict=True):
                    layer.add(z.flatten(2).double())
        variances = [layer.variances() for layer in layers]
        active = [int((variance > _THRESHOLD).sum()) for variance in variances]
        by_layer = {f"layer {number}": (float(count), None) for number, count in enumerate(active, start=1)}
        return Figure(
            name=self.name,
            mean=float(sum(active)),
            standard_error=None,
            unit="",
            direction="higher",
            num_examples=layers[0].count,
            kind="estimate",
            protocol={"threshold": _THRESHOLD, "draws": _DRAWS},
            parts={"units": (float(sum(len(v) for v in variances)), None), **(by_layer if len(active) > 1 else {})},
        )


class _Spread:
    """Sums over examples from which the variances of a layer's posterior means follow, each [U]."""

    def __init__(self) -> None:
        self.count = 0
        self._means = self._squares = self._noise = torch.zeros(())

    def add(self, z: Tensor) -> None:
        """Take in the draws of a batch, [K, B, U]."""
        means = z.mean(dim=0)
        self.count += len(means)
        self._means = self._means + means.sum(dim=0)
        self._squares = self._squares + means.square().sum(dim=0)
        self._noise = self._noise + z.var(dim=0).sum(dim=0) / len(z)

    def variances(self) -> Tensor:
        """Var_x(E_q[z | x]), [U], unbiased and so at times below 0."""
        n = self.count
        if n < 2:
            raise UserError("metrics=[active_units] needs two examples at least: choose a larger max_images")
        return (self._squares - self._means.square() / n) / (n - 1) - self._noise / n
