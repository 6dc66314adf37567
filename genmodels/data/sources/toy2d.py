"""Two-dimensional densities that flows and GANs are shown on."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.random import Generator
from sklearn import datasets

from genmodels.data.examples import Examples
from genmodels.data.source import Source
from genmodels.distributions.modes import MIXTURES, Modes

POINTS = {"train": 60_000, "test": 10_000}


class Toy2D(Source):
    """60,000 points for training (validation is held out of them) and 10,000 for test, float32 [2], no labels.

    The points are a function of the name and `split_seed`. Shapes and scales are those of the FFJORD code
    (`lib/toy_data.py`), so that figures and nats compare; all lie within about [-4, 4]. The narrow Gaussians of `ring`
    and `grid` are those of the papers on mode collapse.
    """

    title = "toy density"
    levels = None

    @property
    def modes(self) -> Modes | None:
        return MIXTURES.get(self.options.name)

    def read(self, part: str) -> Examples:
        rng = np.random.default_rng([self.options.split_seed, list(POINTS).index(part)])
        points = DENSITIES[self.options.name](POINTS[part], rng)
        return Examples(torch.from_numpy(rng.permutation(points).astype(np.float32)))


def _sklearn_seed(rng: Generator) -> int:
    return int(rng.integers(2**31))


def moons(count: int, rng: Generator) -> np.ndarray:
    """Two interleaved half circles, [count, 2]."""
    points, _ = datasets.make_moons(count, noise=0.1, random_state=_sklearn_seed(rng))
    return points * 2 + np.array([-1.0, -0.2])


def circles(count: int, rng: Generator) -> np.ndarray:
    """Two concentric circles, [count, 2]."""
    points, _ = datasets.make_circles(count, noise=0.08, factor=0.5, random_state=_sklearn_seed(rng))
    return points * 3


def swissroll(count: int, rng: Generator) -> np.ndarray:
    """A spiral of one and a half turns that widens, [count, 2]."""
    points, _ = datasets.make_swiss_roll(count, noise=1.0, random_state=_sklearn_seed(rng))
    return points[:, [0, 2]] / 5


def two_spirals(count: int, rng: Generator) -> np.ndarray:
    """One arm and a half turn, and its point reflection."""
    angle = 3 * math.pi * np.sqrt(rng.random(count))
    arm = np.stack([-np.cos(angle), np.sin(angle)], axis=1) * angle[:, None] + rng.random((count, 2)) / 2
    side = rng.choice([-1.0, 1.0], size=(count, 1))
    return side * arm / 3 + rng.normal(scale=0.1, size=(count, 2))


def checkerboard(count: int, rng: Generator) -> np.ndarray:
    """The dark fields of a 4x4 board on [-4, 4] x [-4, 4]: a uniform density of 1/32."""
    column = rng.uniform(-2, 2, count)
    row = rng.random(count) - 2 * rng.integers(0, 2, count) + np.floor(column) % 2
    return 2 * np.stack([column, row], axis=1)


def eight_gaussians(count: int, rng: Generator) -> np.ndarray:
    """Eight equal Gaussians on a circle, [count, 2]."""
    angle = rng.integers(0, 8, count) * math.pi / 4
    centre = 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (centre + rng.normal(scale=0.5, size=(count, 2))) / 1.414


def pinwheel(count: int, rng: Generator) -> np.ndarray:
    """Five Gaussian blades, each turned further the further out it is."""
    radial, tangential = rng.normal(scale=[0.3, 0.1], size=(count, 2)).T
    radial = radial + 1
    angle = rng.integers(0, 5, count) * 2 * math.pi / 5 + 0.25 * np.exp(radial)
    cos, sin = np.cos(angle), np.sin(angle)
    return 2 * np.stack([radial * cos + tangential * sin, tangential * cos - radial * sin], axis=1)


def mixture(modes: Modes, count: int, rng: Generator) -> np.ndarray:
    """Narrow Gaussians far apart, [count, 2]."""
    centres = modes.centres.numpy()
    return centres[rng.integers(0, len(centres), count)] + rng.normal(scale=modes.deviation, size=(count, 2))


DENSITIES: dict[str, Callable[[int, Generator], np.ndarray]] = {
    "moons": moons,
    "circles": circles,
    "two_spirals": two_spirals,
    "checkerboard": checkerboard,
    "eight_gaussians": eight_gaussians,
    "pinwheel": pinwheel,
    "swissroll": swissroll,
    **{name: partial(mixture, modes) for name, modes in MIXTURES.items()},
}
