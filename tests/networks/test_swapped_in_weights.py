"""What normalisations know of weights that no training step has seen."""

import torch
from torch import nn
from torch.func import functional_call

from genmodels.networks.spectral import normalize_spectrally
from genmodels.networks.standing_statistics import standing_statistics


def test_spectral_norms_of_swapped_in_weights_are_their_own() -> None:
    """Singular vectors of the weights of before leave a norm of more than one."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 5)).eval()
    normalize_spectrally(net)
    with torch.no_grad():
        for layer in net:
            layer.parametrizations.weight.original.copy_(torch.randn_like(layer.weight))  # as an average is
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = standing_statistics(net, lambda _: None, 1)

    def norms() -> list[float]:
        return [torch.linalg.matrix_norm(layer.weight, 2).item() for layer in net]

    assert min(norms()) > 1.05
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    x = torch.randn(4, 3)
    y = functional_call(net, found, (x,))
    net.load_state_dict(found, strict=False)
    assert all(abs(norm - 1) < 1e-2 for norm in norms())
    torch.testing.assert_close(y, net(x))


def test_batch_norms_see_the_mean_of_all_batches_through_normalised_weights() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1)).eval()
    normalize_spectrally(net)
    with torch.no_grad():
        net[0].parametrizations.weight.original.copy_(torch.tensor([[3.0]]))  # normalised: 1
    batches = [torch.tensor([[0.0], [2.0]]), torch.tensor([[4.0], [8.0]])]
    given = iter(batches)
    found = standing_statistics(net, lambda generator: generator(next(given)), 2)
    assert found["1.running_mean"].abs().item() == (1 + 6) / 2
    assert found["1.running_var"].item() == (2 + 8) / 2


def test_nothing_without_either() -> None:
    assert standing_statistics(nn.Linear(2, 2), lambda _: None, 1) == {}
