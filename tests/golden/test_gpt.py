"""GPT on sub-pixels by GPT-2 (as in nanoGPT) and Image GPT (Chen et al. 2020), loops over layers and tokens."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.distributions import Categorical
from genmodels.models import GPT
from golden.fixed import filled, images
from golden.scores import categorical

SHAPE, LEVELS, LAYERS, WIDTH, HEADS, CLASSES, DROPOUT = (3, 3, 4), 5, 2, 6, 2, 3, 0.3


def _norm(x: Tensor, weight: Tensor) -> Tensor:
    """Layer norm without a bias, 1e-5 added to the variance."""
    centred = x - x.mean(dim=-1, keepdim=True)
    return weight * centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()


def _attention(x: Tensor, query_key_value: Tensor, output: Tensor) -> Tensor:
    """Every token looks at itself and at all before it."""
    query, key, value = (x @ query_key_value.T).chunk(3, dim=-1)
    channels = WIDTH // HEADS
    seen = torch.zeros_like(x)
    for head in range(HEADS):
        own = slice(head * channels, (head + 1) * channels)
        for t in range(x.shape[1]):
            logits = (query[:, t, None, own] * key[:, : t + 1, own]).sum(dim=-1) / math.sqrt(channels)
            weights = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
            seen[:, t, own] = (weights[:, :, None] * value[:, : t + 1, own]).sum(dim=1)
    return seen @ output.T


def _gelu(x: Tensor) -> Tensor:
    """x times the normal distribution function of x."""
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def _by_the_papers(w: dict[str, Tensor], x: Tensor, y: Tensor | None, dropout: float = 0.0) -> Tensor:
    colours, height, width = SHAPE
    places = [(row, column, colour) for row in range(height) for column in range(width) for colour in range(colours)]
    start = w["first"].expand(len(x), -1)
    if y is not None:
        start = start + w["label.weight"].T[y]
    values = [start] + [w["value.weight"][x[:, colour, row, column]] for row, column, colour in places[:-1]]
    h = torch.stack(
        [
            before + w["row"][row] + w["column"][column] + w["colour"][colour]
            for before, (row, column, colour) in zip(values, places, strict=True)
        ],
        dim=1,
    )
    h = F.dropout(h, dropout)
    for layer in range(LAYERS):
        block = f"blocks.{layer}"
        normed = _norm(h, w[f"{block}.attention_norm.weight"])
        attended = _attention(
            normed, w[f"{block}.attention.query_key_value.weight"], w[f"{block}.attention.output.weight"]
        )
        h = h + F.dropout(attended, dropout)
        hidden = _gelu(_norm(h, w[f"{block}.mlp_norm.weight"]) @ w[f"{block}.widen.weight"].T)
        h = h + F.dropout(hidden @ w[f"{block}.narrow.weight"].T, dropout)
    logits = _norm(h, w["norm.weight"]) @ w["head.weight"].T
    params = logits.new_empty(len(x), LEVELS * colours, height, width)
    for t, (row, column, colour) in enumerate(places):
        params[:, colour::colours, row, column] = logits[:, t]
    return params


def _model(conditional: bool = False) -> GPT:
    return filled(GPT(SHAPE, Categorical(SHAPE, LEVELS), LAYERS, WIDTH, HEADS, DROPOUT, conditional, CLASSES))


@pytest.mark.parametrize("conditional", [False, True])
def test_conditionals_and_likelihood_are_the_papers(conditional: bool) -> None:
    model = _model(conditional)
    x, y = images(SHAPE, LEVELS), torch.tensor([2, 0]) if conditional else None
    expected = _by_the_papers(model.state_dict(), x, y)
    torch.testing.assert_close(model.conditionals(x, y), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.log_prob(x, y), categorical(expected, x), rtol=1e-10, atol=1e-10)


def test_dropout_lies_after_the_embedding_and_at_the_end_of_every_branch() -> None:
    model, x = _model().train(), images(SHAPE, LEVELS)
    torch.manual_seed(0)
    expected = _by_the_papers(model.state_dict(), x, None, DROPOUT)
    torch.manual_seed(0)
    torch.testing.assert_close(model.conditionals(x), expected, rtol=1e-10, atol=1e-10)


def test_it_starts_as_gpt2() -> None:
    """All from N(0, 0.02), what ends a residual branch from N(0, 0.02 / sqrt(2 layers)), norms as 1."""
    torch.manual_seed(0)
    shape, layers = (16, 16, 16), 8  # of so many colours that every table has enough rows to measure
    w = dict(GPT(shape, Categorical(shape, 32), layers, 128, 4, conditional=True, num_classes=32).named_parameters())
    for name, parameter in w.items():
        if "norm" in name:
            assert (parameter == 1.0).all(), name
            continue
        ends_a_branch = name.endswith(("attention.output.weight", "narrow.weight"))
        expected = 0.02 / math.sqrt(2 * layers) if ends_a_branch else 0.02
        assert parameter.std().item() == pytest.approx(expected, rel=4 / math.sqrt(2 * parameter.numel())), name
        assert abs(parameter.mean().item()) < 5 * expected / math.sqrt(parameter.numel()), name
    assert not any(name.endswith("bias") for name in w)
