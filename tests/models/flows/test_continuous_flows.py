"""FFJORD and continuous flows of one field: sizes, densities, what estimates do to likelihoods, what runs log."""

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genmodels.bijections import Solver
from genmodels.config.compose import compose
from genmodels.errors import UserError
from genmodels.evaluation.metrics import Trained
from genmodels.evaluation.metrics.likelihood import Likelihood, log_likelihoods
from genmodels.experiment import train
from genmodels.models import CNF, FFJORD
from genmodels.models.log_weights import log_weights
from genmodels.networks import ConvField, Field, MLPField
from genmodels.objectives import IWAE, NegativeLogLikelihood

EQUAL_STEPS = Solver("rk4", step_size=0.5)


def _count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_published_parameter_counts() -> None:
    """Of the official code's image models, instantiated."""
    with torch.device("meta"):
        assert _count(FFJORD((1, 28, 28), 256)) == 800_646
        assert _count(FFJORD((3, 32, 32), 256)) == 1_358_882
    assert _count(CNF((2,), None)) == 9_225  # its points of the plane


def test_density_of_the_plane_integrates_to_one() -> None:
    torch.manual_seed(0)
    model = CNF((2,), None, field=MLPField(16, 2), trace="exact", solver=Solver("dopri5", 1e-6, 1e-6)).double().eval()
    for parameter in model.bijection.parameters():
        parameter.data.mul_(1.5)
    axis = torch.linspace(-8, 8, 161, dtype=torch.float64)
    with torch.no_grad():
        density = model.log_prob(torch.cartesian_prod(axis, axis)).exp()
    assert float(density.sum() * (axis[1] - axis[0]) ** 2) == pytest.approx(1.0, abs=1e-3)


def test_log_det_of_a_multiscale_model_is_that_of_the_autograd_jacobian() -> None:
    torch.manual_seed(0)
    how: dict[str, Any] = {"solver": Solver("dopri5", 1e-8, 1e-8, adjoint=False), "trace": "exact", "alpha": 0.05}
    model = FFJORD((1, 4, 4), 17, num_scales=2, num_blocks=1, field=ConvField(3, 1), **how).double()
    v = torch.empty(1, 1, 4, 4, dtype=torch.float64).uniform_(0.05, 0.95)
    jacobian = torch.autograd.functional.jacobian(lambda x: model.bijection(x)[0], v)
    expected = torch.linalg.slogdet(jacobian.reshape(16, 16)).logabsdet
    torch.testing.assert_close(model.bijection(v)[1][0], expected, rtol=1e-6, atol=1e-6)


def test_images_come_back_and_are_drawn() -> None:
    torch.manual_seed(0)
    model = FFJORD((1, 8, 8), 17, num_blocks=1, field=ConvField(4, 1), alpha=0.05).eval()
    x = torch.randint(17, (5, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(model.decode(model.encode(x)), x)
    assert model.inverse_error(x) < 1e-3
    samples = model.sample(3)
    assert (samples.dtype, samples.shape) == (torch.uint8, (3, 1, 8, 8))
    assert not model.exact


class Skew(nn.Module):
    """f(t, z) = c (z_2, z_1): of trace nought, its estimates by signs plus and minus 2 c."""

    strength = 0.8

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(self.strength))

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        return self.scale * z.flip(1)


class SkewField(Field):
    def network(self, shape: object) -> nn.Module:
        return Skew()


def test_k_estimates_are_averaged_and_their_noise_is_no_likelihood() -> None:
    """The log of the mean of exp(+-1.6) alone is log cosh 1.6 = 0.95 nats too much."""
    x, samples = torch.tensor([[0.5, -0.2], [1.0, 0.3]]), 2000
    settings: dict[str, Any] = {"field": SkewField(), "solver": EQUAL_STEPS, "trace": "rademacher"}
    exact = CNF((2,), None, **settings).eval()
    estimated = CNF((2,), None, evaluation_trace="rademacher", **settings).eval()
    assert (exact.exact, estimated.exact) == (True, False)
    true = exact.log_prob(x).detach()
    scores = log_likelihoods(estimated, [(x, None)], samples, rows=10**6).float()
    error = 2 * Skew.strength / math.sqrt(samples)
    assert ((scores - true).abs() < 4.5 * error).all()
    torch.manual_seed(0)
    with torch.no_grad():
        weights = log_weights(estimated, x, None, samples, "test")
    overstated = weights.logsumexp(dim=0) - math.log(samples) - true
    torch.testing.assert_close(overstated, torch.full((2,), math.log(math.cosh(1.6))), atol=0.1, rtol=0)


@pytest.mark.parametrize(
    ("evaluation_trace", "kind", "protocol"),
    [
        (None, "exact", {"importance_samples": 1}),
        ("gaussian", "estimate", {"importance_samples": 1, "averaged": 16}),
    ],
)
def test_a_figure_says_what_was_averaged(evaluation_trace: Any, kind: str, protocol: dict[str, int]) -> None:
    model = CNF((2,), None, field=MLPField(4, 1), solver=EQUAL_STEPS, evaluation_trace=evaluation_trace).eval()
    trained = Trained(
        model, NegativeLogLikelihood(), "test", lambda size: [(torch.randn(5, 2), None)], importance_samples=16
    )
    figure = Likelihood().measure(trained)
    assert (figure.kind, figure.protocol) == (kind, protocol)


def test_protocol_names_solver_and_trace_of_evaluation() -> None:
    solvers = {"solver": EQUAL_STEPS, "evaluation_solver": Solver("dopri5", 1e-6, 1e-7)}
    assert CNF((64,), None, **solvers).protocol == {"solver": "dopri5 atol 1e-06 rtol 1e-07", "trace": "exact"}
    wide = CNF((65,), None, evaluation_probes=3, **solvers)
    assert wide.protocol["trace"] == "rademacher of 3"
    image = FFJORD((1, 4, 4), 17, solver=EQUAL_STEPS, trace="gaussian")
    assert image.protocol == {"solver": "rk4 step 0.5", "trace": "gaussian of 1"}


def test_bounds_of_images_with_exact_traces_tighten_with_k() -> None:
    torch.manual_seed(0)
    model = CNF((1, 2, 2), 4, field=MLPField(8, 1), solver=EQUAL_STEPS, evaluation_trace="exact").double().eval()
    for parameter in model.bijection.parameters():
        parameter.data.mul_(2.5)
    x = torch.randint(4, (20, 1, 2, 2))
    bounds = [float(log_likelihoods(model, [(x, None)], k, rows=10**5).mean()) for k in (1, 16, 256)]
    assert bounds[0] < bounds[1] < bounds[2]


def test_iwae_refuses_estimates() -> None:
    with pytest.raises(UserError, match="count the noise of FFJORD's log-determinants as likelihood"):
        IWAE().check(FFJORD((1, 4, 4), 17))
    IWAE().check(FFJORD((1, 4, 4), 17, trace="exact"))


class _NoGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        return z.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        raise RuntimeError("a trace was taken")


class Untraceable(nn.Linear):
    def __init__(self) -> None:
        super().__init__(2, 2)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(_NoGradient.apply(z))


class UntraceableField(Field):
    def network(self, shape: object) -> nn.Module:
        return Untraceable()


def test_sampling_and_encoding_take_no_trace() -> None:
    model = CNF((2,), None, field=UntraceableField()).eval()
    assert model.decode(model.encode(model.sample(4))).isfinite().all()
    model.inverse_error(torch.randn(3, 2))
    with pytest.raises(RuntimeError, match="a trace was taken"):
        model.log_prob(torch.randn(3, 2))


def _rows(folder: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with (folder / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            found.setdefault(row["name"], []).append(float(row["value"]))
    return found


TINY = [
    "data=toy2d", "model=ffjord_vectors", "model.field.width=4", "model.field.num_hidden=1", "data.batch_size=50",
    "trainer=cpu", "trainer.max_steps=2", "trainer.limit_val_batches=2", "logger=csv", "trainer.log_every_n_steps=1",
    "callbacks.samples=null", "callbacks.curves=null", "evaluation.max_images=50",
]  # fmt: skip


def test_a_run_logs_evaluations_of_the_field(tmp_path: Path) -> None:
    overrides = [*TINY, "model/solver=rk4", "objective=rnode"]
    train(compose(overrides), tmp_path, overrides)
    rows = _rows(tmp_path)
    assert set(rows["train/nfe"]) == {16.0}
    assert all(value > 16 for value in rows["val/nfe"])  # dopri5 at 1e-5
    assert all(value > 0 for name in ("kinetic_energy", "jacobian_norm") for value in rows[f"train/{name}"])


def test_a_run_of_flow_matching_solves_nothing(tmp_path: Path) -> None:
    overrides = [*TINY, "objective=flow_matching"]
    train(compose(overrides), tmp_path, overrides)
    rows = _rows(tmp_path)
    assert "train/nfe" not in rows
    assert "val/nll" not in rows
    assert rows["val/flow_matching_loss"]
