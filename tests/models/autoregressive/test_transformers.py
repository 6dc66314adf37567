"""GPT and the Image Transformer beyond what holds for every autoregressive model."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from genmodels.distributions import Bernoulli, Categorical, LogisticMixture, PixelLikelihood
from genmodels.errors import UserError
from genmodels.models import GPT, ImageTransformer
from genmodels.models.autoregressive.raster_transformer import RasterTransformer

SHAPE = (3, 4, 4)
BLOCK = 6
MODELS: dict[str, Callable[[], RasterTransformer]] = {
    "GPT": lambda: GPT(SHAPE, Categorical(SHAPE, 5), 2, 8, 2),
    "ImageTransformer colours": lambda: ImageTransformer(SHAPE, Categorical(SHAPE, 5), 2, 8, 12, 2, block_length=BLOCK),
    "ImageTransformer pixels": lambda: ImageTransformer(
        SHAPE, LogisticMixture(SHAPE, 5), 1, 8, 12, 2, 6, block_length=BLOCK, learned_positions=True
    ),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _lively(model: RasterTransformer) -> RasterTransformer:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.double().eval()


def _reached(model: RasterTransformer) -> Tensor:
    """[T, T] of bool by autograd: whether the parameters of the first token depend on the embedding of the second."""
    x = torch.randint(0, model.levels, (1, *model.shape))
    tokens = model.embed(x).detach().requires_grad_()
    params = model.conditionals_of_tokens(tokens)[0].unflatten(0, (-1, model.tokens_per_pixel))
    params = params.permute(2, 3, 1, 0).flatten(0, 2)  # [T, outputs_per_token]
    rows = []
    for of_token in params:
        (gradient,) = torch.autograd.grad((of_token * torch.randn_like(of_token)).sum(), tokens, retain_graph=True)
        rows.append((gradient[0] != 0).any(dim=-1))
    return torch.stack(rows)


def test_gpt_reaches_all_tokens_before_and_none_else() -> None:
    reached = _reached(_lively(MODELS["GPT"]()))
    assert torch.equal(reached, torch.ones(48, 48, dtype=torch.bool).tril(-1))


@pytest.mark.parametrize("name", ["ImageTransformer colours", "ImageTransformer pixels"])
def test_the_image_transformer_reaches_a_block_back_in_each_layer(name: str) -> None:
    model = _lively(MODELS[name]())
    expected = torch.zeros(model.num_tokens, model.num_tokens, dtype=torch.bool)
    for t in range(model.num_tokens):
        first_place = (t // BLOCK - len(model.blocks)) * BLOCK
        expected[t, max(0, first_place - 1) : t] = True  # at place t the network is told of token t - 1
    assert not expected.equal(torch.ones_like(expected).tril(-1))
    assert torch.equal(_reached(model), expected)


@pytest.mark.parametrize("name", MODELS)
def test_a_token_is_told_from_its_neighbours(name: str) -> None:
    """Row, column and colour: the same values everywhere give every token other parameters."""
    model = _lively(MODELS[name]())
    with torch.no_grad():
        outputs = model.outputs(model.positions() + model.start(1, None)[:, None], None)[0]
    distances = torch.cdist(outputs, outputs) + torch.eye(len(outputs))
    assert len(outputs) == model.num_tokens
    assert distances.min() > 1e-3


def test_every_logit_lies_where_the_categorical_looks_for_it() -> None:
    """By the chain rule over tokens, from the network's own outputs."""
    model = _lively(MODELS["GPT"]())
    x = torch.randint(0, 5, (2, *SHAPE))
    tokens = x.permute(0, 2, 3, 1).flatten(1)
    with torch.no_grad():
        before = torch.cat((model.start(2, None)[:, None], model.embed(x)[:, :-1]), dim=1)
        logits = model.outputs(before + model.positions(), None)
        expected = logits.log_softmax(dim=-1).gather(2, tokens[:, :, None]).sum(dim=(1, 2))
        torch.testing.assert_close(model.log_prob(x), expected)
        torch.testing.assert_close(model.embed(x), model.value.weight[tokens])


def test_two_values_by_bernoulli_and_categorical_are_one_model() -> None:
    shape = (1, 3, 3)
    of_one, of_both = (_lively(GPT(shape, head(shape, 2), 1, 8, 2)) for head in (Bernoulli, Categorical))
    state = of_both.state_dict()
    weight = torch.cat((torch.zeros_like(of_one.head.weight), of_one.head.weight))
    of_both.load_state_dict({**of_one.state_dict(), "head.weight": weight, "order": state["order"]})
    x = torch.randint(0, 2, (4, *shape))
    torch.testing.assert_close(of_one.log_prob(x), of_both.log_prob(x))
    noise = torch.rand(4, 1, 3, 3, dtype=torch.float64)
    assert torch.equal(of_one.sample(4, noise=noise), of_one.sample(4, noise=noise, method="naive"))


@pytest.mark.parametrize("model", [GPT, ImageTransformer])
@pytest.mark.parametrize("head", [Categorical, LogisticMixture])
def test_labels_reach_every_token(model: type[RasterTransformer], head: type[PixelLikelihood]) -> None:
    if model is GPT and head is LogisticMixture:
        pytest.skip("GPT draws colour by colour")
    conditional = _lively(
        model(SHAPE, head(SHAPE, 5), num_layers=1, width=8, num_heads=2, conditional=True, num_classes=3)
    )
    x = torch.randint(0, 5, (1, *SHAPE)).expand(3, -1, -1, -1)
    y = torch.arange(3)
    with torch.no_grad():
        params = conditional.conditionals(x, y)
        assert ((params[0] - params[1]).abs().amin(dim=0) > 1e-9).all()
    noise = torch.rand(3, conditional.likelihood.num_noises, 4, 4, dtype=torch.float64)
    assert torch.equal(conditional.sample(3, y, noise=noise), conditional.sample(3, y, noise=noise, method="naive"))


def test_dropout_acts_in_training_alone() -> None:
    for name in MODELS:
        x = torch.randint(0, 5, (1, *SHAPE))
        model = MODELS[name]()
        for module in (model, *model.blocks):
            module.dropout = 0.5 if name == "GPT" else torch.nn.Dropout(0.5)
        assert not torch.equal(model.log_prob(x), model.log_prob(x)), name
        model.eval()
        assert torch.equal(model.log_prob(x), model.log_prob(x)), name


@pytest.mark.parametrize(("num_layers", "width", "millions"), [(24, 512, 76), (36, 1024, 455), (48, 1536, 1362)])
def test_image_gpt_has_its_published_size(num_layers: int, width: int, millions: int) -> None:
    """The paper's figures (recalled), for 1024 tokens of 512 colours; here 32 + 32 + 1 positions in place of 1024."""
    shape = (1, 32, 32)
    with torch.device("meta"):
        model = GPT(shape, Categorical(shape, 512), num_layers, width, num_heads=8)
    count = sum(p.numel() for p in model.parameters())
    assert (count + (1024 - 65) * width) // 1_000_000 == millions


@pytest.mark.parametrize(
    ("head", "sizes", "inputs", "outputs"),
    [
        (Categorical, (12, 512, 2048, 4), 3 * 256 * 512, 512 * 256 + 256),
        (LogisticMixture, (12, 256, 512, 8, 512), 3 * 256 + 256 + (32 + 32) * 256, 256 * 100),
    ],
)
def test_parameters_of_the_image_transformer(
    head: type[PixelLikelihood], sizes: tuple[int, ...], inputs: int, outputs: int
) -> None:
    """By formula: no count is published."""
    shape = (3, 32, 32)
    with torch.device("meta"):
        model = ImageTransformer(shape, head(shape, 256), *sizes, learned_positions=head is LogisticMixture)
    layers, width, hidden, _, channels = (*sizes, sizes[1])[:5]
    per_block = 4 * width * channels + 2 * width * hidden + hidden + width + 4 * width
    assert sum(p.numel() for p in model.parameters()) == layers * per_block + inputs + outputs


@pytest.mark.parametrize(
    ("build", "key"),
    [
        (lambda: GPT(SHAPE, LogisticMixture(SHAPE, 5)), "model/likelihood=categorical"),
        (lambda: GPT(SHAPE, Categorical(SHAPE, 5), width=10, num_heads=4), "model.num_heads=4"),
        (lambda: GPT(SHAPE, Categorical(SHAPE, 5), conditional=True), "data.num_classes"),
        (lambda: GPT(SHAPE, Categorical(SHAPE, 5), dropout=-0.1), r"model\.dropout must be at least 0"),
        (lambda: ImageTransformer(SHAPE, Categorical(SHAPE, 5), dropout=1.0), r"model\.dropout must be .* below 1"),
        (lambda: ImageTransformer(SHAPE, Categorical(SHAPE, 5), width=10), "model.num_heads=4"),
        (
            lambda: ImageTransformer(SHAPE, Categorical(SHAPE, 5), block_length=0),
            "model.block_length must be at least 1",
        ),
    ],
)
def test_mistakes_name_their_key(build: Callable[[], object], key: str) -> None:
    with pytest.raises(UserError, match=key):
        build()
