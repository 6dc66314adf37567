import pytest
import torch
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.models import BigGAN
from genmodels.objectives import Orthogonal


def _model(width: int = 8) -> BigGAN:
    torch.manual_seed(0)
    return BigGAN((1, 4, 4), 17, width, 6, num_classes=3, shared_embedding=5, hierarchical=True)


def _raw(model: BigGAN) -> dict[str, Tensor]:
    """Kernels and matrices by name, without the shared embedding."""
    named = model.generator.named_parameters()
    return {name: p for name, p in named if p.dim() > 1 and not name.startswith("shared")}


def test_it_is_the_sum_of_squared_inner_products_of_different_rows() -> None:
    model = _model()
    expected = torch.zeros(())
    for weight in _raw(model).values():
        rows = weight.detach().flatten(1)
        for i, first in enumerate(rows):
            others = torch.cat((rows[:i], rows[i + 1 :]))
            expected = expected + (others @ first).square().sum()
    found = Orthogonal(weight=0.5)(model, torch.zeros(1, 6), None)
    torch.testing.assert_close(found.detach(), 0.5 * expected, rtol=1e-4, atol=0)


def test_its_gradient_is_twice_that_of_the_official_code_and_none_of_the_embedding() -> None:
    """`utils.ortho`: 2 (W W' * (1 - I)) W, of the weights beneath the spectral norm."""
    model = _model()
    Orthogonal(weight=0.5)(model, torch.zeros(1, 6), None).backward()
    raw = _raw(model)
    assert [name for name in raw if name.endswith("original")]
    for name, parameter in model.generator.named_parameters():
        if name not in raw:
            assert parameter.grad is None, name
            continue
        w = parameter.detach().flatten(1)
        official = 0.5 * 2 * (w @ w.T * (1 - torch.eye(len(w)))) @ w
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad.flatten(1), 2 * official, rtol=1e-3, atol=1e-7)


def test_orthogonal_rows_cost_nothing() -> None:
    model = _model()
    with torch.no_grad():
        for weight in _raw(model).values():
            square = min(weight.flatten(1).shape)
            weight.zero_()
            weight.view(len(weight), -1)[:square, :square] = 3 * torch.eye(square)
    assert float(Orthogonal()(model, torch.zeros(1, 6), None).detach()) == pytest.approx(0, abs=1e-9)
    assert isinstance(model.generator.get_submodule("shared"), nn.Embedding)


def test_its_weight_has_a_range() -> None:
    with pytest.raises(UserError, match=r"^objective\.generator_penalty\.weight must be at least 0, got -1"):
        Orthogonal(weight=-1)
