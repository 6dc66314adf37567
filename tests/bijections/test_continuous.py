"""Continuous bijections against closed forms: linear fields, exact traces, gradients through the steps."""

import math
import re

import pytest
import torch
from torch import Tensor, nn

from genmodels.bijections import Continuous, Integration, Solver, integrating, telling_of_stiffness
from genmodels.errors import UserError
from genmodels.networks import MLPField

A = torch.tensor([[0.3, -1.1, 0.2], [0.7, 0.1, 0.5], [-0.4, 0.9, -0.6]], dtype=torch.float64)
TIGHT = Solver("dopri8", 1e-11, 1e-11, adjoint=False)
EQUAL_STEPS = Solver("rk4", step_size=0.25, adjoint=False)


class Linear(nn.Module):
    """f(t, z) = A z."""

    def __init__(self, matrix: Tensor = A) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix.clone())

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        return z @ self.matrix.T


def _points(count: int = 5) -> Tensor:
    return torch.sin(torch.arange(3 * count, dtype=torch.float64)).view(count, 3)


def _flow(integration: Integration, seed: int = 0) -> Continuous:
    torch.manual_seed(seed)
    return Continuous(MLPField(12, 2).network([3]), integration, end_time=0.7).double()


@pytest.mark.parametrize("end_time", [1.0, 0.4])
def test_a_linear_field_is_the_matrix_exponential(end_time: float) -> None:
    flow = Continuous(Linear(), Integration(TIGHT, "exact"), end_time=end_time).double()
    x = _points()
    z, log_det = flow(x)
    matrix = torch.linalg.matrix_exp(flow.sqrt_end_time.detach() ** 2 * A)
    torch.testing.assert_close(z, x @ matrix.T, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(log_det, torch.linalg.slogdet(matrix).logabsdet.expand(5), rtol=1e-9, atol=1e-9)
    back, log_det = flow.inverse(x)
    torch.testing.assert_close(back, x @ torch.linalg.inv(matrix).T, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(log_det, -torch.linalg.slogdet(matrix).logabsdet.expand(5), rtol=1e-9, atol=1e-9)


def test_the_field_sees_the_time_that_has_passed() -> None:
    """dz/dt = t from 0 to T: z(T) = x + T^2 / 2."""

    class Time(nn.Module):
        def forward(self, t: Tensor, z: Tensor) -> Tensor:
            return t + 0 * z

    flow = Continuous(Time(), Integration(TIGHT, "exact"), end_time=0.6).double()
    x = _points()
    torch.testing.assert_close(flow(x)[0], x + flow.sqrt_end_time.detach() ** 4 / 2, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(flow.inverse(x)[0], x - flow.sqrt_end_time.detach() ** 4 / 2, rtol=1e-9, atol=1e-9)


def test_there_and_back_again_to_the_tolerance() -> None:
    x, errors = _points(20), []
    for tolerance in (1e-3, 1e-5, 1e-7):
        flow = _flow(Integration(Solver("dopri5", tolerance, tolerance), "exact"))
        with torch.no_grad():
            for parameter in flow.network.parameters():
                parameter.mul_(2.0)
            z, log_det = flow(x)
            back, log_det_back = flow.inverse(z)
        errors.append(max(float((back - x).abs().max()), float((log_det + log_det_back).abs().max())))
        assert errors[-1] < 20 * tolerance
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("trace", ["rademacher", "gaussian"])
@pytest.mark.parametrize("probes", [1, 4])
def test_hutchinsons_estimate_is_unbiased(trace: str, probes: int) -> None:
    """In equal steps, whose number no noise can change; 10,000 draws for each of two points."""
    x, draws = _points(2), 10_000
    exact = _flow(Integration(EQUAL_STEPS, "exact"))(x)[1]
    flow = _flow(Integration(EQUAL_STEPS, trace, probes))  # type: ignore[arg-type]
    with torch.no_grad():
        estimates = flow(x.repeat(draws, 1))[1].view(draws, 2)
    error = estimates.std(dim=0) / math.sqrt(draws)
    assert (error > 1e-4).all()
    assert ((estimates.mean(dim=0) - exact).abs() < 4.5 * error).all()


def test_more_probes_are_less_noise() -> None:
    x = _points(1).repeat(4000, 1)
    one, four = (_flow(Integration(EQUAL_STEPS, "gaussian", probes)).eval()(x)[1].var() for probes in (1, 4))
    assert float((one / four).detach()) == pytest.approx(4.0, rel=0.2)


def test_noise_is_fixed_while_a_solution_lasts() -> None:
    """Of a constant Jacobian the estimate is v'Av for one v of signs: the trace plus or minus a_12 + a_21."""
    matrix = torch.tensor([[0.3, -1.1], [0.4, 0.2]], dtype=torch.float64)
    flow = Continuous(Linear(matrix), Integration(Solver(adjoint=False), "rademacher")).double()
    torch.manual_seed(0)
    _, log_det = flow(torch.zeros(40, 2, dtype=torch.float64))
    found = sorted({round(value, 5) for value in log_det.tolist()})
    assert found == pytest.approx([0.5 - 0.7, 0.5 + 0.7], abs=1e-5)


@pytest.mark.parametrize("trace", ["exact", "rademacher"])
def test_the_adjoints_gradients_are_those_through_the_steps(trace: str) -> None:
    found = []
    for adjoint in (True, False):
        flow = _flow(Integration(Solver("dopri5", 1e-9, 1e-9, adjoint=adjoint), trace))  # type: ignore[arg-type]
        x = _points().requires_grad_()
        torch.manual_seed(1)
        z, log_det = flow(x)
        (z.square().sum() + (log_det * log_det).sum()).backward()
        found.append([x.grad, *[parameter.grad for parameter in flow.parameters()]])
    for by_adjoint, through_steps in zip(*found, strict=True):
        assert through_steps.abs().max() > 1e-4
        torch.testing.assert_close(by_adjoint, through_steps, rtol=1e-6, atol=1e-7)


def test_an_end_that_is_not_learned_stays() -> None:
    flow = Continuous(Linear(), end_time=0.5, learn_end_time=False)
    assert [name for name, p in flow.named_parameters() if p.requires_grad] == ["network.matrix"]
    assert float(flow.sqrt_end_time.square()) == pytest.approx(0.5)


def test_costs_of_a_linear_field() -> None:
    """|A x(s)|^2 / (2 D) along the way, and |A|^2 / D."""
    flow = Continuous(Linear(), Integration(TIGHT, "exact")).double()
    x = _points()
    with integrating("costs", [flow]):
        flow(x)
    assert flow.costs is not None
    steps = torch.linspace(0, 1, 2001, dtype=torch.float64)
    way = torch.stack([x @ torch.linalg.matrix_exp(s * A).T @ A.T for s in steps])
    kinetic = torch.trapezoid(way.square().sum(dim=2) / 6, steps, dim=0)
    torch.testing.assert_close(flow.costs.kinetic, kinetic, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(flow.costs.jacobian, (A.square().sum() / 3).expand(5), rtol=1e-8, atol=1e-8)
    flow.in_training = Integration(EQUAL_STEPS, "rademacher")
    with integrating("costs", [flow]), torch.no_grad():
        flow(x[:1].repeat(4000, 1))
    assert float(flow.costs.jacobian.mean()) == pytest.approx(float(A.square().sum() / 3), rel=0.05)


def test_costs_do_not_change_the_steps() -> None:
    flow = _flow(Integration(Solver("dopri5", 1e-6, 1e-6), "exact"))
    x = 3 * _points()
    flow(x)
    alone = flow.evaluations
    with integrating("costs", [flow]):
        z, _ = flow(x)
    assert flow.evaluations == alone
    assert flow.integrand == "log_det"
    torch.testing.assert_close(z, flow(x)[0])


def test_the_map_alone_needs_no_trace() -> None:
    flow = _flow(Integration(Solver(), "exact"))
    with integrating("map", [flow]):
        z, log_det = flow(_points())
    torch.testing.assert_close(z, flow(_points())[0], rtol=1e-4, atol=1e-4)
    assert log_det.isnan().all()


def test_evaluations_are_counted_and_those_of_gradients_are_not() -> None:
    flow = _flow(Integration(Solver("rk4", step_size=0.25), "rademacher"))
    z, log_det = flow(_points())
    assert flow.evaluations == 16  # four steps of four
    (z.sum() + log_det.sum()).backward()
    assert flow.evaluations == 16


def test_each_mode_is_solved_in_its_own_way() -> None:
    flow = Continuous(Linear(), Integration(EQUAL_STEPS, "gaussian"), Integration(TIGHT, "exact")).double()
    x = _points()
    assert not torch.equal(flow(x)[1], flow(x)[1])
    flow.eval()
    torch.testing.assert_close(flow(x)[1], A.trace().expand(5), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("adjoint", [True, False])
def test_a_field_that_runs_away_ends_in_a_sentence(adjoint: bool) -> None:
    """dz/dt = z^2 from 2 is infinite at t = 1/2."""

    class Square(nn.Module):
        def forward(self, t: Tensor, z: Tensor) -> Tensor:
            return z.square()

    flow = Continuous(Square(), Integration(Solver(adjoint=adjoint), "exact"))
    with pytest.raises(UserError, match=r"model/solver=rk4$"):
        flow(torch.full((1, 1), 2.0))


def test_other_assertions_are_let_through() -> None:
    with pytest.raises(AssertionError, match=r"^mine$"), telling_of_stiffness():
        raise AssertionError("mine")


@pytest.mark.parametrize(
    ("solver", "sentence"),
    [
        (Solver("rk4"), "model.solver.method=rk4 needs model.solver.step_size"),
        (Solver("dopri5", step_size=0.1), "model.solver.method=dopri5 chooses its steps itself"),
        (Solver("rk4", step_size=1.5), "model.solver.step_size must be above 0 and at most 1"),
        (Solver(atol=0.0), "model.solver.atol must be at least"),
    ],
)
def test_numbers_that_do_not_fit_a_method(solver: Solver, sentence: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(sentence)}"):
        solver.check("model.solver")
