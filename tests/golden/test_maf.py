"""MAF by Papamakarios et al. 2017 (arXiv:1705.07057) and its official code (gpapamak/maf)."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from genmodels.models import MAF
from golden.fixed import filled, images
from golden.made_network import State, log_normal, logit_of_pixels, made
from golden.running import with_running_averages

FEATURES, LAYERS, EPS = 4, 3, 1e-5

Statistics = Callable[[str, Tensor], tuple[Tensor, Tensor]]


def _stored(w: State) -> Statistics:
    return lambda name, _: (w[f"{name}.running_mean"], w[f"{name}.running_var"])


def _of_batch(name: str, u: Tensor) -> tuple[Tensor, Tensor]:
    return u.mean(dim=0), (u**2).mean(dim=0) - u.mean(dim=0) ** 2


def _noise(
    w: State,
    flow: str,
    x: Tensor,
    statistics: Statistics,
    activation: Callable[[Tensor], Tensor] = torch.relu,
    context: Tensor | None = None,
    layers: int = LAYERS,
) -> tuple[Tensor, Tensor]:
    """`MaskedAutoregressiveFlow`: u of x, and log|det du/dx|. `flow` ends in the number of the first layer."""
    start, first = flow.rsplit(".", 1)
    order = list(range(x.shape[1]))
    log_det = torch.zeros(len(x), dtype=x.dtype)
    for layer in range(layers):
        name = f"{start}.{int(first) + 2 * layer}"
        mean, log_variance = made(w, f"{name}.net", x, order, activation, context=context).unbind(dim=1)
        x = torch.exp(-0.5 * log_variance) * (x - mean)
        log_det = log_det - 0.5 * log_variance.sum(dim=1)
        order.reverse()
        norm = f"{start}.{int(first) + 2 * layer + 1}"
        mean, var = statistics(norm, x)
        x = w[f"{norm}.gamma"].exp() * (x - mean) / torch.sqrt(var + EPS) + w[f"{norm}.beta"]
        log_det = log_det + w[f"{norm}.gamma"].sum() - 0.5 * torch.log(var + EPS).sum()
    return x, log_det


def _points(count: int = 3) -> Tensor:
    return torch.sin(torch.arange(FEATURES * count, dtype=torch.float64)).view(count, FEATURES)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_vectors(activation: str) -> None:
    model = MAF((FEATURES,), None, num_layers=LAYERS, num_hidden=2, width=7, activation=activation)  # type: ignore[arg-type]
    w = with_running_averages(filled(model)).state_dict()
    x = _points()
    u, log_det = _noise(w, "bijection.bijections.0", x, _stored(w), getattr(torch, activation))
    torch.testing.assert_close(model.encode(x), u, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.log_prob(x), log_normal(u) + log_det, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.decode(u), x, rtol=1e-8, atol=1e-8)


def test_classes() -> None:
    """`ConditionalGaussianMade`, with a second map of the context, to the outputs."""
    model = MAF((FEATURES,), None, num_layers=LAYERS, width=7, conditional=True, num_classes=3)
    w = with_running_averages(filled(model)).state_dict()
    x, y = _points(), torch.tensor([2, 0, 1])
    context = torch.eye(3, dtype=torch.float64)[y]
    u, log_det = _noise(w, "bijection.bijections.0", x, _stored(w), context=context)
    torch.testing.assert_close(model.log_prob(x, y), log_normal(u) + log_det, rtol=1e-10, atol=1e-10)


def test_images() -> None:
    """Behind a logit, with the alpha that the paper has for MNIST unless another is given."""
    shape, levels = (2, 2, 3), 17
    model = with_running_averages(filled(MAF(shape, levels, num_layers=2, width=30)))
    w, x = model.state_dict(), images(shape, levels, count=3)
    torch.manual_seed(3)
    log_p = model.log_prob(x)
    torch.manual_seed(3)
    v, log_volume = logit_of_pixels(x, torch.rand(x.shape, dtype=torch.float64), levels, 1e-6)
    u, log_det = _noise(w, "bijection.inner.bijections.1", v, _stored(w), layers=2)
    torch.testing.assert_close(log_p, log_normal(u) + log_det + log_volume, rtol=1e-10, atol=1e-10)


def test_training_normalises_by_the_batch() -> None:
    """`layers.BatchNorm`; between validations a tenth of it goes into the averages, which the official code has not."""
    model = with_running_averages(filled(MAF((FEATURES,), None, num_layers=LAYERS, width=7))).train()
    w = {name: value.clone() for name, value in model.state_dict().items()}
    x = _points(count=9)
    log_p = model.log_prob(x)
    u, log_det = _noise(w, "bijection.bijections.0", x, _of_batch)
    torch.testing.assert_close(log_p, log_normal(u) + log_det, rtol=1e-10, atol=1e-10)
    first, _ = _noise(w, "bijection.bijections.0", x, lambda *_: (torch.zeros(4), torch.ones(4) - EPS), layers=1)
    norm = "bijection.bijections.1"
    mean, var = _of_batch(norm, (first - w[f"{norm}.beta"]) / w[f"{norm}.gamma"].exp())
    for name, of_batch in (("mean", mean), ("var", var)):
        now, before = model.state_dict()[f"{norm}.running_{name}"], w[f"{norm}.running_{name}"]
        torch.testing.assert_close(now, 0.9 * before + 0.1 * of_batch)


def test_statistics_of_the_whole_set() -> None:
    """`set_batch_stats`: then the log-likelihood of the training set is what training on it in one batch would see."""
    model = with_running_averages(filled(MAF((FEATURES,), None, num_layers=LAYERS, width=7)))
    x = _points(count=9)
    model.set_statistics([(x[:4], None), (x[4:], None)])
    u, log_det = _noise(model.state_dict(), "bijection.bijections.0", x, _of_batch)
    torch.testing.assert_close(model.log_prob(x), log_normal(u) + log_det, rtol=1e-10, atol=1e-10)


def test_initial_values() -> None:
    """Scales and shifts of the batch norms 0; averages, before there are any, 0 and 1. MADEs: see `test_made`."""
    w = MAF((FEATURES,), None).state_dict()
    norms = [name for name in w if name.endswith("gamma")]
    assert norms == [f"bijection.bijections.{2 * layer + 1}.gamma" for layer in range(5)]
    for name in norms:
        norm = name.removesuffix(".gamma")
        values = [w[f"{norm}.{part}"].unique().tolist() for part in ("gamma", "beta", "running_mean", "running_var")]
        assert values == [[0.0], [0.0], [0.0], [1.0]]
    hidden = [w[f"bijection.bijections.8.net.layers.{layer}.weight"].shape for layer in range(3)]
    assert hidden == [(512, 4), (512, 512), (8, 512)]


def test_initial_map_of_the_classes() -> None:
    """`create_weights_conditional`: N(0, 1) / sqrt(number of classes + 1), and so for the outputs."""
    torch.manual_seed(0)
    w = MAF((FEATURES,), None, conditional=True, num_classes=10).state_dict()
    of_context = w["bijection.bijections.0.net.of_context.weight"]
    assert of_context.shape == (512 + 2 * FEATURES, 10)
    assert float(of_context.std()) == pytest.approx(11**-0.5, rel=0.03)
