"""The four energies of Rezende & Mohamed 2015 and the exact constants that make them densities."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from genmodels.distributions.energies import BOX, ENERGIES, log_normalizer


def test_energies_at_points_worked_out_by_hand() -> None:
    """At z1 = 1, w1 = 1, w2 = 3 and w3 = 3/2."""

    def both(first: float, second: float) -> float:
        return -math.log(math.exp(-0.5 * first**2) + math.exp(-0.5 * second**2))

    point = torch.tensor([[1.0, 0.5]], dtype=torch.float64)
    radius = math.sqrt(1.25)
    expected = {
        "u1": 0.5 * ((radius - 2) / 0.4) ** 2 + both(-1 / 0.6, 3 / 0.6),
        "u2": 0.5 * (0.5 / 0.4) ** 2,
        "u3": both(-0.5 / 0.35, 2.5 / 0.35),
        "u4": both(-0.5 / 0.4, 1.0 / 0.35),
    }
    assert {name: energy(point).item() for name, energy in ENERGIES.items()} == pytest.approx(expected)


def test_the_wall_is_outside_only() -> None:
    axis = torch.tensor([-4.8, -4.0, 4.0, 4.8], dtype=torch.float64)
    points = torch.stack([axis, torch.sin(math.pi / 2 * axis)], dim=1)
    torch.testing.assert_close(ENERGIES["u2"](points), torch.tensor([2.0, 0.0, 0.0, 2.0], dtype=torch.float64))


def test_constants_in_closed_form() -> None:
    """For every z1 the integral over z2 is that of one or two Gaussians, wherever they are centred."""
    root = math.sqrt(2 * math.pi)
    length = 8 + 0.4 * root
    for name, scale in (("u2", 0.4), ("u3", 0.35 + 0.35), ("u4", 0.4 + 0.35)):
        assert log_normalizer(name) == pytest.approx(math.log(scale * root * length), abs=1e-7)


def test_constant_of_the_ring_in_polar_coordinates() -> None:
    def over_angle(radius: float) -> float:
        z1 = radius * np.cos(np.linspace(0, 2 * np.pi, 2000, endpoint=False))
        arcs = np.exp(-0.5 * ((z1 - 2) / 0.6) ** 2) + np.exp(-0.5 * ((z1 + 2) / 0.6) ** 2)
        return 2 * math.pi * float(arcs.mean()) * radius * math.exp(-0.5 * ((radius - 2) / 0.4) ** 2)

    z, _ = quad(over_angle, 0, BOX)
    assert log_normalizer("u1") == pytest.approx(math.log(z), abs=1e-7)
