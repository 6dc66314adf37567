"""What sets Flow++'s fixed layers apart beyond being bijections."""

import torch

from genmodels.bijections import Bijection, ColumnSplit, Compose, InvertibleConv1x1, PositionNorm
from genmodels.networks.data_init import initialize


def test_columns_become_channels_and_come_back() -> None:
    seen = []

    class Record(Compose):
        def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
            seen.append(x)
            return super().forward(x, context)

    x = torch.arange(16.0).view(1, 1, 2, 8)
    nothing: list[Bijection] = []
    z, _ = ColumnSplit(Record(nothing))(x)
    assert torch.equal(z, x)
    assert seen[0][0, 0].tolist() == [[0, 2, 4, 6], [8, 10, 12, 14]]
    assert seen[0][0, 1].tolist() == [[1, 3, 5, 7], [9, 11, 13, 15]]


def test_the_norm_standardises_every_element_of_the_first_batch() -> None:
    torch.manual_seed(0)
    x = 3.0 * torch.randn(50, 2, 3, 4) * torch.rand(2, 3, 4) + torch.randn(2, 3, 4)
    x[:, 0, 0, 0] = 7.0
    norm = PositionNorm((2, 3, 4))
    initialize(norm, lambda: norm(x))
    z = norm(x)[0].detach()
    variance, mean = torch.var_mean(z, dim=0, correction=0)
    torch.testing.assert_close(mean, torch.zeros(2, 3, 4), atol=1e-5, rtol=0)
    assert float(variance[0, 0, 0]) == 0.0  # constant: keeps its scale
    torch.testing.assert_close(variance.flatten()[1:], torch.ones(23), atol=1e-4, rtol=0)
    assert float(norm.scale.detach()[0, 0, 0]) == 1.0


def test_a_scale_that_an_update_made_negative_is_kept_positive() -> None:
    norm = PositionNorm((1, 1, 1)).double()
    torch.nn.init.constant_(norm.scale, -1.0)
    x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    z, log_det = norm(x)
    torch.testing.assert_close(log_det.exp(), torch.tensor([1e-10], dtype=torch.float64))
    torch.testing.assert_close(norm.inverse(z)[0], x)


def test_pointwise_layers_start_near_the_identity() -> None:
    torch.manual_seed(0)
    for lu in (True, False):
        distance = InvertibleConv1x1(6, lu=lu, identity_noise=0.001).matrix() - torch.eye(6)
        assert 0 < float(distance.detach().abs().max()) < 0.006
