"""TARFlow by Zhai et al. 2024 (arXiv:2412.06329) and its official code (apple/ml-tarflow, `transformer_flow.py`)."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.models import TARFlow
from golden.fixed import filled, images

SHAPE, LEVELS, PATCH, WIDTH, HEADS, BLOCKS, LAYERS, CLASSES = (2, 4, 6), 17, 2, 8, 2, 3, 2, 3

State = dict[str, Tensor]


def _norm(w: State, name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    scaled = centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def _linear(w: State, name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _attention_block(w: State, name: str, x: Tensor) -> Tensor:
    """`AttentionBlock`: masked by a lower triangle, the scores over the root of a head's channels; an MLP with GELU."""
    batch, length, _ = x.shape
    projected = _linear(w, f"{name}.attention.query_key_value", _norm(w, f"{name}.attention_norm", x))
    q, k, v = projected.view(batch, length, 3 * HEADS, -1).transpose(1, 2).chunk(3, dim=1)
    scores = torch.einsum("bhtd,bhsd->bhts", q, k) / math.sqrt(WIDTH // HEADS)
    scores = scores.masked_fill(torch.ones(length, length).tril() == 0, -math.inf)
    seen = (torch.softmax(scores, dim=-1) @ v).transpose(1, 2).reshape(batch, length, WIDTH)
    x = x + _linear(w, f"{name}.attention.output", seen)
    hidden = _linear(w, f"{name}.widen", _norm(w, f"{name}.mlp_norm", x))
    return x + _linear(w, f"{name}.narrow", 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2))))


def _meta_block(w: State, name: str, x: Tensor, classes: Tensor | None) -> tuple[Tensor, Tensor]:
    """`MetaBlock.forward` without its permutation; its log-determinant is a sum here, there a mean."""
    h = _linear(w, f"{name}.embedding", x) + w[f"{name}.positions"]
    if classes is not None:
        h = h + (classes @ w[f"{name}.of_context.weight"].T)[:, None]
    for layer in range(LAYERS):
        h = _attention_block(w, f"{name}.blocks.{layer}", h)
    h = _linear(w, f"{name}.outputs", h)
    h = torch.cat((torch.zeros_like(h[:, :1]), h[:, :-1]), dim=1)
    xb, xa = h.chunk(2, dim=-1)
    return (x - xb) * torch.exp(-xa), -xa.sum(dim=(1, 2))


def _log_density(w: State, x: Tensor, classes: Tensor | None) -> tuple[Tensor, Tensor]:
    """`Model.forward` of pixels from -1 to 1: the latent as an image, and log p(x)."""
    x = F.unfold(x, PATCH, stride=PATCH).transpose(1, 2)
    log_p = x.new_zeros(len(x))
    for block in range(BLOCKS):
        name = f"bijection.bijections.1.inner.bijections.{block}"
        backwards = block % 2 == 1
        x = x.flip(1) if backwards else x
        x, log_det = _meta_block(w, f"{name}.bijections.1.net" if backwards else f"{name}.net", x, classes)
        x = x.flip(1) if backwards else x
        log_p = log_p + log_det
    log_p = log_p - 0.5 * (x.square() + math.log(2 * math.pi)).sum(dim=(1, 2))
    return F.fold(x.transpose(1, 2), SHAPE[1:], PATCH, stride=PATCH), log_p


def _model(conditional: bool, noise: float | None = None) -> TARFlow:
    sizes = (PATCH, WIDTH, BLOCKS, LAYERS, WIDTH // HEADS, 4)
    model = filled(TARFlow(SHAPE, LEVELS, *sizes, noise, conditional, num_classes=CLASSES))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".outputs." in name:
                parameter.mul_(0.2)  # they stand in an exponent, block after block
    return model


@pytest.mark.parametrize("conditional", [False, True])
def test_log_prob_and_latents(conditional: bool) -> None:
    model, x, y = _model(conditional), images(SHAPE, LEVELS), torch.tensor([2, 0])
    classes = F.one_hot(y, CLASSES).double() if conditional else None
    torch.manual_seed(3)
    log_p = model.log_prob(x, y)
    torch.manual_seed(3)
    v = 2 * (x + torch.rand(x.shape, dtype=torch.float64)) / LEVELS - 1
    _, expected = _log_density(model.state_dict(), v, classes)
    # As `get_loss` and `bpd` of the code: ln 128 a dimension for 256 levels, here half the levels.
    torch.testing.assert_close(log_p, expected - math.prod(SHAPE) * math.log(LEVELS / 2), rtol=1e-10, atol=1e-10)

    z, _ = _log_density(model.state_dict(), 2 * (x + 0.5).double() / LEVELS - 1, classes)
    torch.testing.assert_close(model.encode(x, y), z, rtol=1e-10, atol=1e-10)
    assert torch.equal(model.decode(z, y), x.to(torch.uint8))


def test_unknown_labels_are_the_mean_class() -> None:
    """`class_embed.mean` where the code's y is negative, which label dropout makes it."""
    model, x, y = _model(conditional=True), images(SHAPE, LEVELS, count=400), torch.arange(400) % CLASSES
    model.label_dropout = 0.3
    torch.manual_seed(3)
    log_p = model.train().log_prob(x, y)
    torch.manual_seed(3)
    v = 2 * (x + torch.rand(x.shape, dtype=torch.float64)) / LEVELS - 1
    known, unknown = (
        _log_density(model.state_dict(), v, classes)[1] - math.prod(SHAPE) * math.log(LEVELS / 2)
        for classes in (F.one_hot(y, CLASSES).double(), torch.full((400, CLASSES), 1 / CLASSES, dtype=torch.float64))
    )
    is_known, is_unknown = ((log_p - one).abs() < 1e-8 for one in (known, unknown))
    assert (is_known ^ is_unknown).all()
    assert float(is_unknown.double().mean()) == pytest.approx(0.3, abs=0.07)


def test_gaussian_noise_and_denoising() -> None:
    """Pixels from -1 to 1 with noise of deviation 0.05; a sample v becomes v + 0.05^2 grad log p(v)."""
    model, x = _model(conditional=False, noise=0.05), images(SHAPE, LEVELS)
    clean = 2 * x.double() / (LEVELS - 1) - 1
    torch.manual_seed(3)
    log_p = model.log_prob(x)
    torch.manual_seed(3)
    v = clean + 0.05 * torch.randn(x.shape, dtype=torch.float64)
    # The mass of N(v, 0.05^2) in the cell of x, over the density of the noise.
    cell = 1 / (LEVELS - 1)
    low, high = (torch.distributions.Normal(v, 0.05).cdf(clean + side) for side in (-cell, cell))
    mass = torch.where(x == LEVELS - 1, 1 - low, torch.where(x == 0, high, high - low))
    ratio = mass.log() - torch.distributions.Normal(clean, 0.05).log_prob(v)
    _, expected = _log_density(model.state_dict(), v, None)
    torch.testing.assert_close(log_p, expected + ratio.sum(dim=(1, 2, 3)), rtol=1e-8, atol=1e-8)

    torch.manual_seed(5)
    drawn = model.sample(2, temperature=0.3)
    torch.manual_seed(5)
    z = 0.3 * torch.randn(2, *SHAPE, dtype=torch.float64)
    noisy = (2 * model.bijection.inverse(z)[0].detach() - 1).requires_grad_()
    (score,) = torch.autograd.grad(_log_density(model.state_dict(), noisy, None)[1].sum(), noisy)
    denoised = noisy.detach() + 0.05**2 * score
    pixels = ((denoised + 1) / 2 * (LEVELS - 1)).round().clamp(0, LEVELS - 1)
    assert torch.equal(drawn, pixels.to(torch.uint8))
    assert not torch.equal(drawn, ((noisy.detach() + 1) / 2 * (LEVELS - 1)).round().clamp(0, LEVELS - 1))
