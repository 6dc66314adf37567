"""What is special to Gated PixelCNN: no blind spot, classes in every layer."""

import pytest
import torch
from torch import Tensor

from genmodels.distributions import Bernoulli, Categorical
from genmodels.errors import UserError
from genmodels.models import AutoregressiveModel, GatedPixelCNN, PixelCNN


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _seen_from_the_left_end_of_the_last_row(model: AutoregressiveModel) -> Tensor:
    """[H, W] of bool, by autograd: the pixels that the first pixel of the last row depends on."""
    model = model.double()
    x = torch.randint(0, 2, (4, *model.shape)).double().requires_grad_()
    (gradient,) = torch.autograd.grad(model.conditionals(x)[:, :, -1, 0].sum(), x)
    return (gradient != 0).any(dim=(0, 1))


def test_the_blind_spot_of_pixelcnn_is_gone() -> None:
    """With a 7x7 and then 3x3 kernels, PixelCNN of any depth sees 2 + d columns to the right in the d-th row above."""
    shape = (1, 8, 8)
    plain = _seen_from_the_left_end_of_the_last_row(PixelCNN(shape, Bernoulli(shape, 2), 8, 16, 32))
    gated = _seen_from_the_left_end_of_the_last_row(GatedPixelCNN(shape, Bernoulli(shape, 2), 5, 16, 3, 7, 32))
    rows_above, columns = 7 - torch.arange(8)[:, None], torch.arange(8)
    assert torch.equal(plain, (rows_above > 0) & (columns <= rows_above + 2))
    assert torch.equal(gated, (rows_above > 0).expand(8, 8))


def test_each_layer_widens_the_field_by_half_its_kernel() -> None:
    shape = (1, 16, 16)
    for num_layers in (1, 2, 3):
        model = GatedPixelCNN(shape, Bernoulli(shape, 2), num_layers, 16, 5, 7, 32)
        reach = 3 + 2 * (num_layers - 1)
        seen = _seen_from_the_left_end_of_the_last_row(model)
        rows_above, columns = 15 - torch.arange(16)[:, None], torch.arange(16)
        assert torch.equal(seen, (rows_above > 0) & (rows_above <= reach) & (columns <= reach))


def _conditional(shape: tuple[int, int, int], levels: int) -> GatedPixelCNN:
    model = GatedPixelCNN(shape, Categorical(shape, levels), 3, 12, 3, 5, 24, conditional=True, num_classes=3).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter)).mul_(1.5)
    return model.eval()


def test_every_label_has_a_distribution_of_its_own() -> None:
    model = _conditional((1, 3, 3), levels=2)
    images = torch.cartesian_prod(*[torch.arange(2)] * 9).view(-1, 1, 3, 3)
    p = torch.stack([model.log_prob(images, torch.full((len(images),), label)).exp() for label in range(3)])
    torch.testing.assert_close(p.sum(dim=1), torch.ones(3, dtype=p.dtype))
    distances = (p[:, None] - p).abs().sum(dim=2) / 2
    assert (distances + torch.eye(3) > 0.05).all()


def test_labels_enter_both_halves_of_both_stacks_of_every_layer() -> None:
    model = _conditional((3, 5, 5), levels=4)
    x, y = torch.randint(0, 4, (8, 3, 5, 5)), torch.arange(8) % 3
    model.log_prob(x, y).sum().backward()
    assert [tuple(layer.label.weight.shape) for layer in model.layers] == [(48, 3), (48, 3), (24, 3)]
    assert all((layer.label.weight.grad != 0).all() for layer in model.layers)


def test_all_ways_to_sample_obey_the_labels() -> None:
    model = _conditional((3, 4, 4), levels=5)
    noise = torch.rand(1, 3, 4, 4, dtype=torch.float64).expand(3, -1, -1, -1)
    y = torch.arange(3)
    naive, cached, jacobi = (model.sample(3, y, noise=noise, method=m) for m in ("naive", "cached", "jacobi"))
    assert torch.equal(cached, naive)
    assert torch.equal(jacobi, naive)
    assert len(naive.flatten(1).unique(dim=0)) == 3
    assert torch.equal(model.sample(1, y[2:], noise=noise[2:]), naive[2:])


def test_samples_of_a_label_score_its_entropy() -> None:
    model = _conditional((1, 3, 3), levels=2)
    images = torch.cartesian_prod(*[torch.arange(2)] * 9).view(-1, 1, 3, 3)
    for label in range(3):
        log_p = model.log_prob(images, torch.full((len(images),), label))
        y = torch.full((2000,), label)
        scores = -model.log_prob(model.sample(2000, y), y)
        assert abs(scores.mean() + (log_p.exp() * log_p).sum()) < 4 * scores.std() / 2000**0.5


def test_samples_without_labels_are_of_all_labels_alike() -> None:
    model, n = _conditional((1, 3, 3), levels=2), 6000
    images = torch.cartesian_prod(*[torch.arange(2)] * 9).view(-1, 1, 3, 3)
    p = torch.stack([model.log_prob(images, torch.full((512,), label)).exp() for label in range(3)]).mean(dim=0)
    # By the first row: 8 cases, each frequent enough.
    p = p.view(8, 64).sum(dim=1)
    codes = (model.sample(n)[:, 0, 0].long() * torch.tensor([4, 2, 1])).sum(dim=1)
    seen = torch.bincount(codes, minlength=8) / n
    assert ((seen - p).abs() < 4.5 * (p * (1 - p) / n).sqrt()).all()


def test_size() -> None:
    """By hand: convolutions of both stacks and the link, residual and skip (none of the first in the last layer)."""
    p, c, levels = 384, 3, 256
    with torch.device("meta"):
        model = GatedPixelCNN((c, 32, 32), Categorical((c, 32, 32), levels))
    first = c * 2 * p * (3 * 7 + 4) + 2 * 2 * p
    later = p * 2 * p * (3 * 5 + 3) + 2 * 2 * p
    link = (2 * p) ** 2
    out = p * 2 * p + 2 * p
    # Widths that colours share are rounded up: 1024 to 1026.
    output = (p + 1) * 1026 + (1026 + 1) * c * levels
    expected = first + 19 * later + 20 * link + 20 * out - (p * p + p) + output
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


def test_what_cannot_be_built_is_refused() -> None:
    shape = (1, 8, 8)
    likelihood = Categorical(shape, 17)
    with pytest.raises(UserError, match=r"model\.kernel_size=4 must be odd"):
        GatedPixelCNN(shape, likelihood, kernel_size=4)
    with pytest.raises(UserError, match=r"model\.num_layers"):
        GatedPixelCNN(shape, likelihood, num_layers=0)
    with pytest.raises(UserError, match=r"data\.num_classes is null"):
        GatedPixelCNN(shape, likelihood, conditional=True)
    with pytest.raises(UserError, match="no labels"):
        _conditional(shape, 17).log_prob(torch.zeros(1, *shape, dtype=torch.long))
