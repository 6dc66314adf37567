"""Linear flows: factors that are what their names say, and inverses that are kept."""

import pytest
import torch

from genmodels.bijections import PLU, QR, Diagonal, Linear, Triangular

LAYERS = {
    "diagonal": lambda: Diagonal(5),
    "lower": lambda: Triangular(5),
    "upper": lambda: Triangular(5, upper=True),
    "plu": lambda: PLU(5),
    "qr": lambda: QR(5),
    "qr of two reflections": lambda: QR(5, num_reflections=2),
}


@pytest.fixture(params=LAYERS)
def layer(request: pytest.FixtureRequest) -> Linear:
    torch.manual_seed(0)
    layer: Linear = LAYERS[request.param]().double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer


def test_is_its_matrix(layer: Linear) -> None:
    x = torch.randn(4, 5, dtype=torch.float64)
    torch.testing.assert_close(layer(x)[0], x @ layer.matrix().T + layer.bias)


@pytest.mark.parametrize("layer", [name for name in LAYERS if name != "diagonal"], indirect=True)
def test_the_inverse_is_computed_once_for_fixed_parameters(layer: Linear, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    invert = layer.eval()._invert
    monkeypatch.setattr(layer, "_invert", lambda: calls.append(1) or invert())
    z = torch.randn(4, 5, dtype=torch.float64)
    with torch.no_grad():
        layer.inverse(z)
        layer.inverse(z)
        assert len(calls) == 1
        layer.bias.add_(1.0)
        layer.inverse(z)
    assert len(calls) == 2


def test_triangles_are_triangular_and_start_as_the_identity() -> None:
    for layer in (Triangular(4), Triangular(4, upper=True), Diagonal(4)):
        assert torch.equal(layer.matrix(), torch.eye(4))
    with torch.no_grad():
        for upper in (False, True):
            layer = Triangular(4, upper=upper)
            layer.weight.normal_()
            matrix = layer.matrix()
            assert torch.equal(matrix, matrix.triu() if upper else matrix.tril())
            assert (matrix.diagonal() > 0).all()
            assert matrix.count_nonzero() == 10


@pytest.mark.parametrize("layer", [PLU(6), QR(6), QR(6, num_reflections=3)], ids=["plu", "qr", "few reflections"])
def test_rotations_start_orthogonal(layer: Linear) -> None:
    matrix = layer.matrix().detach()
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(6), atol=1e-5, rtol=0.0)
    assert not torch.allclose(matrix, torch.eye(6))
