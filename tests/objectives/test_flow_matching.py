"""Flow matching against the closed form of normal distributions, and RNODE against its parts."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from genmodels.bijections import Solver
from genmodels.errors import UserError
from genmodels.models import CNF, NICE
from genmodels.networks import Field, MLPField
from genmodels.objectives import RNODE, FlowMatching, NegativeLogLikelihood, Selection
from genmodels.objectives.flow_matching import nearest_pairs

MEAN, DEVIATION = 1.5, 0.6


class ClosedForm(nn.Module):
    """The velocity that takes N(1.5, 0.6^2) to N(0, 1): along N(m(s), d(s)^2) it is m' + (d' / d) (x - m)."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale, dtype=torch.float64))

    def forward(self, s: Tensor, x: Tensor) -> Tensor:
        s = s.view(-1, 1)
        variance = (1 - s) ** 2 * DEVIATION**2 + s**2
        slope = (s - (1 - s) * DEVIATION**2) / variance
        return self.scale * (-MEAN + slope * (x - (1 - s) * MEAN))


class ClosedFormField(Field):
    def network(self, shape: object) -> nn.Module:
        return ClosedForm()


def _gaussian() -> CNF:
    return CNF((1,), None, field=ClosedFormField(), solver=Solver("dopri5", 1e-9, 1e-9), learn_end_time=False).double()


def _data(count: int) -> Tensor:
    return MEAN + DEVIATION * torch.randn(count, 1, dtype=torch.float64)


@pytest.mark.parametrize("s", [0.1, 0.5, 0.9])
def test_the_mean_of_the_target_at_a_place_is_the_closed_form(s: float) -> None:
    """Of normal distributions it is a straight line, which least squares find."""
    torch.manual_seed(0)
    time = torch.full((200_000,), s, dtype=torch.float64)
    point, target = FlowMatching().way(_data(len(time)), torch.randn(len(time), 1, dtype=torch.float64), time)
    design = torch.cat((torch.ones_like(point), point), dim=1)
    offset, slope = torch.linalg.lstsq(design, target).solution.flatten().tolist()
    at = torch.tensor([[-1.0], [2.0]], dtype=torch.float64)
    expected = ClosedForm()(time[:2], at)
    torch.testing.assert_close(offset + slope * at, expected.detach(), rtol=0.02, atol=0.02)


def test_the_closed_form_is_where_the_loss_is_least() -> None:
    model, x = _gaussian(), _data(400_000)
    network = model.bijection.bijections[0].network
    losses = []
    for scale in (0.9, 1.0, 1.1):
        network.scale.data.fill_(scale)
        torch.manual_seed(1)
        losses.append(float(FlowMatching()(model, x, None)[0].detach()))
    assert losses[1] < min(losses[0], losses[2]) - 0.005


def test_the_flow_of_the_closed_form_scores_and_draws_the_data() -> None:
    torch.manual_seed(0)
    model, x = _gaussian().eval(), _data(50)
    expected = -0.5 * ((x[:, 0] - MEAN) / DEVIATION) ** 2 - math.log(DEVIATION * math.sqrt(2 * math.pi))
    torch.testing.assert_close(model.log_prob(x), expected, rtol=1e-6, atol=1e-6)
    z = torch.tensor([[-1.0], [0.0], [2.0]], dtype=torch.float64)
    torch.testing.assert_close(model.decode(z), MEAN + DEVIATION * z, rtol=1e-6, atol=1e-6)


def test_ways_go_from_the_data_to_the_noise() -> None:
    torch.manual_seed(0)
    data, noise, sigma = torch.randn(3, 2, 2, 2), torch.randn(3, 2, 2, 2), 0.1
    objective = FlowMatching(sigma_min=sigma)
    start, target = objective.way(data, noise, torch.zeros(3))
    end, _ = objective.way(data, noise, torch.ones(3))
    torch.testing.assert_close(start, data + sigma * noise)
    torch.testing.assert_close(end, noise)
    torch.testing.assert_close(target, end - start)


def test_the_loss_is_a_mean_over_dimensions_too() -> None:
    """Of a velocity of nought: E |z - x|^2 / D = 1 + E x^2."""

    class Nought(Field):
        def network(self, shape: object) -> nn.Module:
            return nn.Bilinear(1, 5, 5)

    model = CNF((5,), None, field=Nought())
    model.velocity = lambda time, v: 0 * v  # type: ignore[method-assign]
    torch.manual_seed(0)
    loss, metrics = FlowMatching()(model, torch.full((40_000, 5), 2.0), None)
    assert float(loss) == pytest.approx(5.0, abs=0.05)
    assert list(metrics) == ["flow_matching_loss"]


def test_optimal_pairs_are_the_best_of_all() -> None:
    torch.manual_seed(0)
    data, noise = torch.randn(6, 1, 2, 1), torch.randn(6, 1, 2, 1)
    orders = list(itertools.permutations(range(6)))
    costs = [float((data - noise[list(order)]).square().sum()) for order in orders]
    best = min(range(len(orders)), key=costs.__getitem__)
    assert nearest_pairs(data, noise).tolist() == list(orders[best])


def test_optimal_pairs_make_a_smaller_loss() -> None:
    """For the spread of the ways through a place is less."""
    model, x = _gaussian(), _data(200)
    losses = []
    for pairing in ("independent", "optimal_transport"):
        torch.manual_seed(1)
        losses.append(float(FlowMatching(pairing)(model, x, None)[0].detach()))  # type: ignore[arg-type]
    assert losses[1] < 0.5 * losses[0]


def test_what_selects_the_weights() -> None:
    model = CNF((2,), None, field=MLPField(4, 1))
    x = torch.randn(7, 2)
    assert FlowMatching().selection(model) == Selection("flow_matching_loss")
    objective = FlowMatching(likelihood_examples=5)
    assert objective.selection(model) == Selection("nll")
    assert "nll" not in objective(model, x, None)[1]
    metrics = objective(model.eval(), x, None)[1]
    torch.testing.assert_close(metrics["nll"], -model.log_prob(x[:5]).mean())


def test_one_field_is_needed() -> None:
    with pytest.raises(UserError, match=r"model\.num_blocks=2 makes several: set it to 1"):
        FlowMatching().check(CNF((2,), None, num_blocks=2))
    with pytest.raises(UserError, match="needs a continuous flow along one vector field"):
        FlowMatching().check(NICE((2,), None))
    with pytest.raises(UserError, match="needs a continuous flow"):
        RNODE().check(NICE((2,), None))


def test_images_are_dequantised_and_centred() -> None:
    torch.manual_seed(0)
    model = CNF((1, 2, 2), 4)
    x = torch.tensor([0, 3, 1, 2]).view(1, 1, 2, 2).repeat(2000, 1, 1, 1)
    start = model.at_start(x)
    low = torch.tensor([-1.0, 0.5, -0.5, 0.0]).view(1, 2, 2)
    assert (start >= low).all()
    assert (start < low + 0.5).all()
    torch.testing.assert_close(start.mean(dim=0), low + 0.25, atol=0.02, rtol=0)


def test_rnode_is_the_likelihood_and_two_costs() -> None:
    torch.manual_seed(0)
    model = CNF((3,), None, num_blocks=2, field=MLPField(8, 1), trace="exact", solver=Solver("rk4", step_size=0.25))
    x = torch.randn(6, 3)
    log_prob, costs = model.log_prob_and_costs(x)
    assert (costs.kinetic > 0).all()
    assert (costs.jacobian > 0).all()
    torch.testing.assert_close(log_prob, model.log_prob(x))
    loss, metrics = RNODE(kinetic=0.3, jacobian=0.7)(model, x, None)
    expected = -log_prob.mean() + 0.3 * costs.kinetic.mean() + 0.7 * costs.jacobian.mean()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(metrics["nll"], -log_prob.mean().detach())
    alone, metrics = RNODE()(model.eval(), x, None)
    torch.testing.assert_close(alone, NegativeLogLikelihood()(model, x, None)[0])
    assert list(metrics) == ["nll"]
