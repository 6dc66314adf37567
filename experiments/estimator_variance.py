"""Measure how noisy each estimator of an encoder's gradient is, and draw it against the number of draws K.

python experiments/estimator_variance.py <folder> [<gradients for each point>]

The model is that of Rainforth et al. 2018, Section 4, of 5 dimensions in place of 20: z ~ N(0, I), x | z ~ N(z, I) and
q(z | x) = N(A x + b, 2/3 I) with A = I / 2 and b = 0, each parameter a hundredth beside that. The gradient of 16
examples is drawn again and again. Left and in the middle the variance of a parameter of the encoder, right the
signal-to-noise ratio of the importance-weighted bound: that of the reparametrised gradient falls as 1 / sqrt(K), that
of the doubly reparametrised one rises as sqrt(K) (Tucker et al. 2019). Half a minute.
"""

import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor, nn

from genmodels.distributions import Gaussian, StandardNormal
from genmodels.models import VAE, Diagonal, Networks
from genmodels.objectives import ELBO, IWAE

Point = dict[str, Any]
DIMENSIONS, EXAMPLES, OFF = 5, 16, 0.01
OBJECTIVES = {"elbo": ELBO, "iwae": IWAE}
COLOURS = {
    "reparametrised": "tab:blue",
    "sticking": "tab:green",
    "doubly_reparametrised": "tab:purple",
    "reinforce": "tab:red",
    "reinforce_baseline": "tab:orange",
}
THROUGH_DRAWS = ("reparametrised", "sticking", "doubly_reparametrised")  # of the others the signal is too faint to see


class Affine(nn.Linear):
    """A network without context."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(x)


class AffineNetworks(Networks):
    """A x + b and log sigma, with a hundredth of noise on every parameter, and the identity as decoder."""

    def encoder(self, shape: Sequence[int], num_features: int, context_features: int) -> nn.Module:
        mean, log_scale = torch.eye(DIMENSIONS) / 2, torch.full((DIMENSIONS,), math.log(2 / 3) / 2)
        zeros = torch.zeros(DIMENSIONS, DIMENSIONS)
        return _affine(torch.cat((mean, zeros)), torch.cat((zeros[0], log_scale)), OFF)

    def decoder(self, num_latents: int, shape: Sequence[int], context_features: int) -> nn.Module:
        return _affine(torch.eye(DIMENSIONS), torch.zeros(DIMENSIONS), 0.0)


def _affine(weight: Tensor, bias: Tensor, off: float) -> Affine:
    layer = Affine(weight.shape[1], weight.shape[0])
    for parameter, value in ((layer.weight, weight), (layer.bias, bias)):
        parameter.data.copy_(value + off * torch.randn(value.shape))
    return layer


def model_and_examples() -> tuple[VAE, Tensor]:
    """The VAE, in float64, and draws from it."""
    torch.manual_seed(0)
    likelihood = Gaussian([DIMENSIONS], None, scale=1.0)
    model = VAE([DIMENSIONS], None, AffineNetworks(), Diagonal(DIMENSIONS), StandardNormal([DIMENSIONS]), likelihood)
    return model.double(), model.double().sample(EXAMPLES)


def estimators() -> Iterator[tuple[str, str]]:
    """An objective and a gradient, by the names of their settings."""
    for gradient in COLOURS:
        for objective in OBJECTIVES:
            if (objective, gradient) != ("elbo", "doubly_reparametrised"):
                yield objective, gradient


def measured(model: VAE, x: Tensor, objective: str, gradient: str, samples: int, repeats: int) -> Point:
    """The mean variance of a coordinate of the encoder's gradient, in nats^2, and the gradient's signal-to-noise ratio.

    That is |E[g]| over the square root of the sum of all variances; the noise in the mean is taken off its square, and
    where no signal is left, the ratio is nought.
    """
    loss, parameters = OBJECTIVES[objective](samples=samples, gradient=gradient), list(model.encoder.parameters())
    drawn = [torch.autograd.grad(loss(model, x, None)[0], parameters) for _ in range(repeats)]
    gradients = torch.stack([torch.cat([part.flatten() for part in parts]) for parts in drawn])
    variances = gradients.var(dim=0)
    signal = gradients.mean(dim=0).square().sum() - variances.sum() / repeats
    return {
        "objective": objective,
        "gradient": gradient,
        "samples": samples,
        "variance": float(variances.mean()),
        "signal_to_noise": float((signal.clamp(min=0) / variances.sum()).sqrt()),
    }


def draw(points: Sequence[Point], path: Path) -> None:
    """Three panels: the variances of either bound's gradients, and the signal-to-noise ratios of the second's."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    _lines(left, points, "elbo", "variance", COLOURS)
    _lines(middle, points, "iwae", "variance", COLOURS)
    _lines(right, points, "iwae", "signal_to_noise", THROUGH_DRAWS)
    for gradient, power, label in (("reparametrised", -0.5, "1 / sqrt(K)"), ("doubly_reparametrised", 0.5, "sqrt(K)")):
        line = _line(points, "iwae", gradient)
        guide = [line[0]["signal_to_noise"] * p["samples"] ** power for p in line]
        right.plot([p["samples"] for p in line], guide, ":" if power > 0 else "--", color="grey", label=label)
    left.set_ylabel("variance of a parameter's gradient")
    right.set_ylabel("signal to noise")
    for axes in (middle, right):
        axes.legend(fontsize="small")
    FigureCanvasAgg(figure).print_png(path)


def _lines(axes: Axes, points: Sequence[Point], objective: str, key: str, gradients: Iterable[str]) -> None:
    for gradient in gradients:
        line = [p for p in _line(points, objective, gradient) if p[key] > 0]
        if line:
            style = {"color": COLOURS[gradient], "label": gradient}
            axes.plot([p["samples"] for p in line], [p[key] for p in line], "o-", **style)
    axes.set(yscale="log", xlabel="K", title=f"objective={objective}")
    axes.set_xscale("log", base=2)


def _line(points: Sequence[Point], objective: str, gradient: str) -> list[Point]:
    return [p for p in points if (p["objective"], p["gradient"]) == (objective, gradient)]


def main(folder: Path, repeats: int = 500, most: int = 128) -> None:
    """Write estimator_variance.png and .json, of K = 1, 2, 4, ... up to `most`, into the folder."""
    model, x = model_and_examples()
    points = [
        measured(model, x, objective, gradient, samples, repeats)
        for objective, gradient in estimators()
        for samples in (2**i for i in range(most.bit_length()))
        if (objective, gradient, samples) != ("iwae", "reinforce_baseline", 1)  # whose baseline is made of the others
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "estimator_variance.json").write_text(json.dumps({"repeats": repeats, "points": points}, indent=1))
    draw(points, folder / "estimator_variance.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
