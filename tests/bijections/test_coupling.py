"""Couplings against worked examples and against each other's special cases."""

import torch
from torch import Tensor, nn

from genmodels.bijections import Additive, Coupling, InvertibleConv1x1, MaskedCoupling, TanhAffine, checkerboard
from genmodels.bijections.elementwise import Elementwise


class _ExpAffine(Elementwise):
    """y = x exp(s) + t, the textbook form."""

    num_parameters = 2

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        s, t = h.chunk(2, dim=1)
        return x * s.exp() + t, s

    def inverse(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        s, t = h.chunk(2, dim=1)
        return (z - t) * torch.exp(-s), -s


class _ExerciseNet(nn.Module):
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return torch.cat((0.5 * x - 1.0, 2.0 * x + 1.0), dim=1)


def test_worked_example() -> None:
    """s(x1) = 0.5 x1 - 1, t(x1) = 2 x1 + 1: (2, 3) -> (2, 8) with determinant 1, and (0, 1) <- (0, 0)."""
    coupling = Coupling(_ExerciseNet(), _ExpAffine())
    y, log_det = coupling(torch.tensor([[2.0, 3.0]]))
    assert torch.equal(y, torch.tensor([[2.0, 8.0]]))
    assert log_det.item() == 0.0
    x, _ = coupling.inverse(torch.tensor([[0.0, 1.0]]))
    assert torch.equal(x, torch.tensor([[0.0, 0.0]]))


def test_nice_is_realnvp_with_scale_zero() -> None:
    """With a = 0 the affine coupling is the additive one (Dinh et al. 2017, Section 3.2)."""
    net = nn.Conv2d(1, 2, 3, padding=1)

    class Net(nn.Module):
        def __init__(self, outputs: int) -> None:
            super().__init__()
            self.outputs = outputs

        def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
            return net(x)[:, : self.outputs]

    x = torch.randn(3, 2, 4, 4)
    affine, log_det = Coupling(Net(2), TanhAffine(0.0))(x)
    additive, _ = Coupling(Net(1), Additive())(x)
    torch.testing.assert_close(affine, additive)
    assert not log_det.any()


def test_masked_coupling_leaves_what_it_sees_and_sees_nothing_else() -> None:
    mask = checkerboard(4, 4)

    class Net(nn.Module):
        def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
            assert not (x * (1 - mask)).any()
            return x.sum(dim=(1, 2, 3), keepdim=True).expand(-1, 2, 4, 4)

    x = torch.randn(2, 1, 4, 4)
    z, _ = MaskedCoupling(Net(), TanhAffine(0.5), mask)(x)
    assert torch.equal(z * mask, x * mask)
    assert ((z != x) == (mask == 0)).all()


def test_checkerboards_are_complementary_and_start_with_a_visible_corner() -> None:
    assert checkerboard(3, 5)[0, 0, 0, 0] == 1
    assert torch.equal(checkerboard(3, 5) + checkerboard(3, 5, flip=True), torch.ones(1, 1, 3, 5))


def test_1x1_convolution_starts_as_a_rotation_in_both_forms() -> None:
    for lu in (True, False):
        matrix = InvertibleConv1x1(6, lu=lu).matrix()
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(6), atol=1e-5, rtol=0)


def test_1x1_convolution_inverse_follows_every_change_of_the_weight() -> None:
    """Its cache must not outlive an optimiser step, a loaded state, or a change of dtype."""
    conv = InvertibleConv1x1(4)
    x = torch.randn(2, 4, 2, 2)

    def check() -> None:
        with torch.no_grad():
            dtype = conv.weight.dtype
            torch.testing.assert_close(conv.inverse(conv(x.to(dtype))[0])[0], x.to(dtype), atol=1e-4, rtol=1e-4)

    check()
    optimizer = torch.optim.SGD(conv.parameters(), lr=0.5)
    conv(x)[0].square().sum().mul(1e-2).backward()
    optimizer.step()
    check()
    conv.load_state_dict(InvertibleConv1x1(4).state_dict())
    check()
    conv.double()
    check()
