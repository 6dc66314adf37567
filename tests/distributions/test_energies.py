"""The four energies of Rezende & Mohamed 2015 and the exact constants that make them densities."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from genmodels.distributions.energies import BOX, ENERGIES, log_normalizer


@pytest.mark.parametrize(
    ("z1", "z2", "w1", "w2", "w3"),
    [(1.0, 0.5, 1.0, 3.0, 1.5), (1.6, -0.5, math.sin(0.8 * math.pi), 3 * math.exp(-0.5), 3 / (1 + math.exp(-2)))],
)
def test_energies_at_points_worked_out_by_hand(z1: float, z2: float, w1: float, w2: float, w3: float) -> None:
    def both(first: float, second: float) -> float:
        return -math.log(math.exp(-0.5 * first**2) + math.exp(-0.5 * second**2))

    expected = {
        "u1": 0.5 * ((math.hypot(z1, z2) - 2) / 0.4) ** 2 + both((z1 - 2) / 0.6, (z1 + 2) / 0.6),
        "u2": 0.5 * ((z2 - w1) / 0.4) ** 2,
        "u3": both((z2 - w1) / 0.35, (z2 - w1 + w2) / 0.35),
        "u4": both((z2 - w1) / 0.4, (z2 - w1 + w3) / 0.35),
    }
    point = torch.tensor([[z1, z2]], dtype=torch.float64)
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
