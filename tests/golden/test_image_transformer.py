"""The Image Transformer by tensor2tensor (image_transformer.py, common_attention.py), loops over layers and tokens.

Both of its best configurations: colours from a table of embeddings with sinusoids ("CAT"), and whole pixels through a
dense layer with learned positions ("DMOL").
"""

import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.distributions import Categorical, LogisticMixture
from genmodels.models import ImageTransformer
from golden.fixed import filled, images
from golden.scores import categorical, logistic_mixture

SHAPE, LEVELS, LAYERS, WIDTH, HIDDEN, HEADS, CHANNELS = (3, 3, 4), 5, 2, 16, 10, 2, 6
CLASSES, DROPOUT, COMPONENTS = 3, 0.3, 2
State = dict[str, Tensor]


def _norm(w: State, name: str, x: Tensor) -> Tensor:
    """Layer norm, 1e-6 added to the variance."""
    centred = x - x.mean(dim=-1, keepdim=True)
    normed = centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
    return normed * w[f"{name}.weight"] + w[f"{name}.bias"]


def _local_attention(w: State, name: str, x: Tensor, block_length: int) -> Tensor:
    """A token looks at those up to itself from the start of the block before its own."""
    query, key, value = (x @ w[f"{name}.query_key_value.weight"].T).chunk(3, dim=-1)
    channels = CHANNELS // HEADS
    seen = torch.zeros_like(query)
    for t in range(x.shape[1]):
        visible = slice(max(0, (t // block_length - 1) * block_length), t + 1)
        for head in range(HEADS):
            own = slice(head * channels, (head + 1) * channels)
            logits = (query[:, t, None, own] * channels**-0.5 * key[:, visible, own]).sum(dim=-1)
            weights = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
            seen[:, t, own] = (weights[:, :, None] * value[:, visible, own]).sum(dim=1)
    return seen @ w[f"{name}.output.weight"].T


def _timing_signal(place: int) -> list[float]:
    """Sines, then cosines, of wavelengths from 2 pi to 10^4 2 pi, for one of two axes."""
    count = WIDTH // 4
    angles = [place * math.exp(-i * math.log(10_000) / (count - 1)) for i in range(count)]
    return [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]


def _position(w: State, row: int, column: int) -> Tensor:
    if "row" in w:
        return (w["row"][row] + w["column"][column]) * math.sqrt(WIDTH)
    return torch.tensor(_timing_signal(row) + _timing_signal(column))


def _tokens(w: State, x: Tensor) -> Tensor:
    """[B, rows, places in a row, WIDTH]: pixels as a whole, or their colours side by side."""
    if "of_pixel.weight" in w:
        v = 2 * x.double() / (LEVELS - 1) - 1
        return F.relu(torch.einsum("oc,bchw->bhwo", w["of_pixel.weight"], v) + w["of_pixel.bias"])
    colours = [w["of_value"][colour * LEVELS : (colour + 1) * LEVELS][x[:, colour]] for colour in range(len(x[0]))]
    return torch.stack(colours, dim=3).flatten(2, 3) * math.sqrt(WIDTH)


def _by_the_official_code(w: State, x: Tensor, y: Tensor | None, block_length: int, dropout: float = 0.0) -> Tensor:
    tokens = _tokens(w, x)
    batch, rows, columns, _ = tokens.shape
    tokens = tokens.flatten(1, 2)
    h = torch.cat((torch.zeros(batch, 1, WIDTH), tokens[:, :-1]), dim=1)  # shifted right
    h = h + torch.stack([_position(w, row, column) for row in range(rows) for column in range(columns)])
    if y is not None:
        h = h + w["label.weight"].T[y][:, None]
    h = F.dropout(h, dropout)
    for layer in range(LAYERS):
        block = f"blocks.{layer}"
        attended = _local_attention(w, f"{block}.attention", h, block_length)
        h = _norm(w, f"{block}.attention_norm", h + F.dropout(attended, dropout))
        hidden = F.relu(h @ w[f"{block}.widen.weight"].T + w[f"{block}.widen.bias"])
        narrowed = hidden @ w[f"{block}.narrow.weight"].T + w[f"{block}.narrow.bias"]
        h = _norm(w, f"{block}.mlp_norm", h + F.dropout(narrowed, dropout))
    outputs = h @ w["head.weight"].T + w.get("head.bias", 0.0)
    # A token's parameters, those of a pixel's colours in turn for each value.
    by_pixel = outputs.view(batch, rows, SHAPE[2], -1, outputs.shape[2])
    return by_pixel.permute(0, 4, 3, 1, 2).reshape(batch, -1, rows, SHAPE[2])


def _model(head: str, block_length: int, conditional: bool = False, dropout: float = DROPOUT) -> ImageTransformer:
    likelihood = Categorical(SHAPE, LEVELS) if head == "CAT" else LogisticMixture(SHAPE, LEVELS, COMPONENTS)
    sizes = (LAYERS, WIDTH, HIDDEN, HEADS, CHANNELS, block_length, head == "DMOL", dropout, conditional, CLASSES)
    return filled(ImageTransformer(SHAPE, likelihood, *sizes))


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("head", ["CAT", "DMOL"])
@pytest.mark.parametrize("block_length", [1, 4, 5, 6, 12, 100])
@pytest.mark.parametrize("conditional", [False, True])
def test_conditionals_and_likelihood_are_the_official_codes(head: str, block_length: int, conditional: bool) -> None:
    """Of 36 colours or 12 pixels: many blocks, the last one cut short or not, two, and one."""
    model = _model(head, block_length, conditional)
    assert ("head.bias" in model.state_dict()) == (head == "CAT")
    x, y = images(SHAPE, LEVELS), torch.tensor([2, 0]) if conditional else None
    expected = _by_the_official_code(model.state_dict(), x, y, block_length)
    torch.testing.assert_close(model.conditionals(x, y), expected, rtol=1e-10, atol=1e-10)
    score = categorical(expected, x) if head == "CAT" else logistic_mixture(expected, x, LEVELS)
    torch.testing.assert_close(model.log_prob(x, y), score, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("head", ["CAT", "DMOL"])
def test_dropout_lies_after_the_embedding_and_before_every_norm(head: str) -> None:
    model, x = _model(head, 100).train(), images(SHAPE, LEVELS)
    torch.manual_seed(0)
    expected = _by_the_official_code(model.state_dict(), x, None, 100, DROPOUT)
    torch.manual_seed(0)
    torch.testing.assert_close(model.conditionals(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("head", ["CAT", "DMOL"])
def test_it_starts_as_tensor2tensor(head: str) -> None:
    """Uniform with variance 0.2 / (mean of inputs and outputs); learned positions from N(0, 1 / sqrt(width)).

    The queries, keys and values are three matrices there, and a table of embeddings has its rows as inputs.
    """
    torch.manual_seed(0)
    shape, width, channels = (3, 16, 16), 64, 96
    likelihood = Categorical(shape, 64) if head == "CAT" else LogisticMixture(shape, 64)
    model = ImageTransformer(shape, likelihood, 1, width, 128, 4, channels, learned_positions=head == "DMOL")
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            assert (parameter == (1.0 if name.endswith("norm.weight") else 0.0)).all(), name
            continue
        margin = 5 / math.sqrt(2 * parameter.numel())
        if name in ("row", "column"):
            assert parameter.std().item() == pytest.approx(width**-0.5, rel=margin), name
            continue
        for part in parameter.chunk(3) if "query_key_value" in name else [parameter]:
            variance = 0.2 / (sum(part.shape) / 2)
            assert part.var().item() == pytest.approx(variance, rel=2 * margin), name
            assert math.sqrt(3 * variance) * 0.95 < part.abs().max().item() <= math.sqrt(3 * variance), name
